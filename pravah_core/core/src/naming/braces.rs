//! Text with names in braces, as templates and capture patterns have it; `{{` and `}}` are braces.

/// A piece of such a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What is meant literally.
    Literal(Vec<u8>),
    /// `{name}` or `{name:spec}`.
    Field {
        /// Its name.
        name: String,
        /// What stands behind the colon.
        spec: Option<String>,
    },
}

/// Cut a text into its pieces; two literals never follow each other.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if behind.starts_with(brace) {
            literal.push_str(brace);
            rest = &behind[1..];
            continue;
        }
        if brace == "}" {
            return Err("a `}` without its `{`; a brace that is meant literally is `}}`".into());
        }
        let Some(end) = behind.find('}') else {
            return Err("a `{` without its `}`; a brace that is meant literally is `{{`".into());
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes()));
        }
        pieces.push(field(&behind[..end])?);
        rest = &behind[end + 1..];
    }
    literal.push_str(rest);
    if literal.contains('\0') {
        return Err("a path has no NUL".into());
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into_bytes()));
    }
    Ok(pieces)
}

fn field(text: &str) -> Result<Piece, String> {
    let (name, spec) = match text.split_once(':') {
        Some((name, spec)) => (name, Some(spec.to_owned())),
        None => (text, None),
    };
    let is_name = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !is_name {
        return Err(format!("`{{{text}}}` is no field: its name has small letters, digits and `_`"));
    }
    Ok(Piece::Field { name: name.to_owned(), spec })
}
