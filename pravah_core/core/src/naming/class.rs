//! What has to be compared with what, so that no two outputs get one name (protocol, rule 16).

use super::template::{Part, Template};
use crate::plan::Plan;

/// How far apart entries can lie whose outputs get one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// In one directory: its names are compared when it is listed.
    Directory,
    /// Anywhere in the job: all names are compared when everything is listed.
    Job,
    /// Outputs are made of several entries: they are compared when these are put together.
    Group,
    /// That is known only when they have been read: names are created where they are free, and nothing is replaced.
    RunTime,
}

/// Tell the class of a plan's names.
pub fn class(plan: &Plan) -> Class {
    match plan.template() {
        _ if plan.reduces() => Class::Group,
        Some(template) if template.needs_hash() => Class::RunTime,
        // The names of a directory may come in several units, and are not all that it has.
        template if plan.listed && !plan.in_place && (template.is_some() || steps_can_collide(plan)) => Class::Job,
        None => Class::Directory,
        // A file that is named by itself lies beside trees, not in one.
        Some(_) if plan.roots.len() > 1 && plan.roots.iter().any(|root| root.only.is_some()) => Class::Job,
        Some(template) if keeps_directories(template, plan.roots.len()) => Class::Directory,
        Some(_) => Class::Job,
    }
}

fn steps_can_collide(plan: &Plan) -> bool {
    plan.pipeline().is_ok_and(|pipeline| pipeline.names_can_collide())
}

/// Whether each directory of each root has an output directory of its own, at the same place below one prefix.
///
/// Only then can a name collide with nothing but those beside it, and with the directories beside it.
fn keeps_directories(template: &Template, roots: usize) -> bool {
    let mut components = &template.components[..];
    while let [first, rest @ ..] = components
        && let [Part::Literal(_)] = &first[..]
    {
        if rest.is_empty() {
            return false;
        }
        components = rest;
    }
    let mut has_root = false;
    if let [first, rest @ ..] = components
        && first[..] == [Part::Root]
    {
        (has_root, components) = (true, rest);
    }
    let names_beside = |parts: &[Part]| parts.iter().all(decided_beside);
    let keeps = match components {
        [directory, name] if directory[..] == [Part::Dir] => names_beside(name),
        [name] => matches!(&name[..], [Part::Path, rest @ ..] if names_beside(rest)),
        _ => false,
    };
    keeps && (has_root || roots == 1)
}

/// Whether a part tells nothing that lies outside of the entry's directory, and adds no directory.
fn decided_beside(part: &Part) -> bool {
    match part {
        Part::Literal(_) | Part::Name | Part::Stem | Part::Ext | Part::Root | Part::Number(_) | Part::Captured(_) => {
            true
        }
        Part::Modified(form) => !form.contains(['/', 'D', 'x', 'c', '+']),
        Part::Path | Part::Dir | Part::Hash(_) | Part::Index(_) => false,
    }
}
