//! The texts that all sheets of a workbook share.

use std::collections::{BTreeSet, HashMap};

use super::{
    archive::Content,
    book::{Element, Elements, name},
};
use crate::{Error, Result};

/// All shared texts, one behind the other.
#[derive(Debug, Default)]
pub struct Texts {
    texts: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Read them all; more than so many bytes are refused.
    pub fn read(shared: &Content, most_bytes: u64) -> Result<Self> {
        let mut texts = Self::default();
        let mut elements = Elements::new(shared);
        let mut is_too_large = false;
        each(&mut elements, |text| {
            texts.texts.push_str(&text);
            texts.ends.push(texts.texts.len());
            is_too_large = (texts.texts.len() + size_of_val(&*texts.ends)) as u64 > most_bytes;
            !is_too_large
        });
        if is_too_large {
            return Err(Error::UnsupportedInput(format!(
                "the texts of the workbook take more than {} MiB of memory, which is what a file of its size may",
                most_bytes >> 20
            )));
        }
        if elements.has_ended { Ok(texts) } else { Err(elements.failure()) }
    }

    /// The text at a position.
    pub fn get(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.texts.get(start..end)
    }
}

/// The shared texts at these positions, as far as they are seen.
pub fn at(shared: &Content, wanted: &BTreeSet<usize>) -> HashMap<usize, String> {
    let mut texts = HashMap::new();
    let Some(last) = wanted.last() else { return texts };
    let mut position = 0;
    each(&mut Elements::new(shared), |text| {
        if wanted.contains(&position) {
            texts.insert(position, text);
        }
        position += 1;
        position <= *last
    });
    texts
}

/// Give each text, as long as more are wanted.
fn each(elements: &mut Elements, mut take: impl FnMut(String) -> bool) {
    let (mut words, mut is_text, mut is_reading) = (String::new(), false, false);
    while let Some(element) = elements.next() {
        match element {
            Element::Start(start) => match name(&start).as_str() {
                "t" => is_text = true,
                // How a word is pronounced is no part of it.
                "rPh" => is_reading = true,
                _ => {}
            },
            Element::Text(text) if is_text && !is_reading => words.push_str(&text),
            Element::Text(_) => {}
            Element::End(name) => match name.as_str() {
                "t" => is_text = false,
                "rPh" => is_reading = false,
                "si" => {
                    elements.begin_part();
                    if !take(std::mem::take(&mut words)) {
                        return;
                    }
                }
                _ => {}
            },
        }
    }
}
