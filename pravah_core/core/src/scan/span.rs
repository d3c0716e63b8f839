//! Ranges of the names in one directory, in the order of their bytes; a directory's name ends in a slash there.

/// All names behind one name, up to another one with that: half-open, so that ranges which meet share no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// The name behind which it begins; none: with the first name there is.
    pub after: Option<Box<[u8]>>,
    /// The last name that belongs to it; none: the last one there is.
    pub end: Option<Box<[u8]>>,
}

impl Span {
    /// All names.
    pub const WHOLE: Self = Self { after: None, end: None };

    /// Whether a name lies in it.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.after.as_deref().is_none_or(|after| name > after) && self.end.as_deref().is_none_or(|end| name <= end)
    }

    /// Whether no name can lie in it.
    pub fn is_empty(&self) -> bool {
        matches!((&self.after, &self.end), (Some(after), Some(end)) if after >= end)
    }

    /// Whether all its names are names of another one, too.
    pub fn lies_in(&self, other: &Self) -> bool {
        let begins = other.after.is_none() || (self.after.is_some() && self.after >= other.after);
        let ends = other.end.is_none() || (self.end.is_some() && self.end <= other.end);
        begins && ends
    }

    /// What is left of it without a part that lies in it: before the part, and behind it.
    pub fn without(&self, part: &Self) -> impl Iterator<Item = Self> {
        let before = part.after.clone().map(|after| Self { after: self.after.clone(), end: Some(after) });
        let behind = part.end.clone().map(|end| Self { after: Some(end), end: self.end.clone() });
        before.into_iter().chain(behind).filter(|span| !span.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        let border = || proptest::option::of(proptest::collection::vec(0_u8..4, 0..4).prop_map(Vec::into_boxed_slice));
        (border(), border()).prop_map(|(after, end)| Span { after, end })
    }

    proptest! {
        #[test]
        fn test_span_without_a_part_has_each_other_name_once(
            whole in span(),
            part in span(),
            names in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..5), 1..40),
        ) {
            prop_assume!(!whole.is_empty() && !part.is_empty() && part.lies_in(&whole));
            let left: Vec<Span> = whole.without(&part).collect();
            for name in names {
                let times = left.iter().filter(|span| span.contains(&name)).count();
                prop_assert_eq!(times, usize::from(whole.contains(&name) && !part.contains(&name)));
                prop_assert!(whole.contains(&name) || !part.contains(&name));
            }
            prop_assert!(left.iter().all(|span| !span.is_empty() && span.lies_in(&whole)));
        }
    }
}
