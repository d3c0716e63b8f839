//! Which entries of a task have one output: each its own, unless a step makes one of several.

use std::ops::Range;

use crate::{entry::Kind, manifest::Manifest, pipeline::Pipeline, plan::Plan};

/// The outputs of a task. The members of one follow each other, and what becomes of them is recorded together.
pub struct Outputs {
    /// The first member of each entry's output; none: each entry is the only one of its own.
    leads: Option<Vec<u32>>,
}

impl Outputs {
    /// Tell the outputs of a manifest's entries, by their names.
    pub fn of(plan: &Plan, pipeline: &Pipeline, manifest: &Manifest) -> Self {
        if !plan.reduces() {
            return Self { leads: None };
        }
        let mut leads: Vec<u32> = Vec::with_capacity(manifest.len());
        let mut last = None;
        for (index, at) in (0_u32..).zip(0..manifest.len()) {
            let named = manifest.named(at);
            let is_member = named.naming.ordinal.is_some() && manifest.kind(at).is_ok_and(|kind| kind == Kind::File);
            let name = is_member.then(|| plan.output_name(pipeline, &named).ok()).flatten();
            let lead = match leads.last() {
                Some(lead) if name.is_some() && name == last => *lead,
                _ => index,
            };
            leads.push(lead);
            last = name;
        }
        Self { leads: Some(leads) }
    }

    /// Whether outputs are made of several entries.
    pub fn are_merged(&self) -> bool {
        self.leads.is_some()
    }

    /// The first entry of the output that an entry is part of.
    pub fn lead(&self, index: u32) -> u32 {
        self.leads.as_ref().map_or(index, |leads| leads[index as usize])
    }

    /// All entries of the output that begins with this one.
    pub fn members(&self, lead: u32) -> Range<u32> {
        let Some(leads) = &self.leads else { return lead..lead + 1 };
        let length = leads[lead as usize..].iter().take_while(|other| **other == lead).count();
        lead..lead + u32::try_from(length).unwrap_or(u32::MAX)
    }
}
