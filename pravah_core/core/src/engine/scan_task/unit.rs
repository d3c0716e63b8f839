//! A scan unit: what one scan task has to list, as the ledger keeps it.
//!
//! A unit is stored with the tasks that it emits, so that whoever goes on with it begins at its frontier: the
//! directories that emitted tasks don't cover. New kinds of units (names from a list) are new variants here, what
//! they begin with is their line in [`Unit::begin`].

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::named::NamedPath;
use super::ranged::{Ranged, RangedMarks, StoredRange};
use super::tree::{Mark, Tree, address};
use crate::{
    Error, Result,
    entry::Entry,
    manifest::{Manifest, ManifestBuilder},
    plan::{Plan, Root},
    scan::{Directory, Filter, Filtered, Names, Origin, Reason, Span},
    stores::synthetic::entries_of,
};

/// What a scan task has to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unit {
    /// All that the job names: its first unit, of which nothing is stored yet.
    #[default]
    Roots,
    /// Directories, and what is below them.
    Directories(Directories),
    /// Paths that a list names.
    Named(NamedPaths),
}

/// Some of the paths that a list names, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPaths {
    /// The paths.
    pub paths: Vec<NamedPath>,
}

/// Where the scanner begins, and where what is made up does.
pub(super) struct Begins {
    pub trees: Vec<Origin>,
    pub synthetic: Vec<Origin>,
}

/// Directories that are not yet covered by emitted tasks, and what is known of what is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directories {
    pub(super) tree: Tree,
    /// Ranges of the names of some of its directories, which are to be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ranges: Vec<StoredRange>,
    /// What was left out of the directories that are covered, by the reason's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) filtered: BTreeMap<String, u64>,
    /// Which tasks hold entries of directories that were emitted in part.
    #[serde(default)]
    pub(super) look_back: LookBack,
    /// The file that came first, where the sink is one file and a second one has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_file: Option<Vec<u8>>,
}

/// The tasks that may hold entries of directories which are partly emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookBack {
    /// So many of the last tasks that the unit emitted.
    Last(u32),
    /// Any task of the job.
    Everywhere,
}

/// What a scan begins with.
#[derive(Default)]
pub(super) struct Beginning {
    /// Directories that are listed, and roots that are files.
    pub singles: Vec<(Arc<Directory>, Mark)>,
    /// Subdirectories of directories that are not listed themselves.
    pub below: Vec<(Arc<Directory>, Names)>,
    /// Directories of whose names some ranges are listed.
    pub ranged: Vec<Ranged>,
    /// What was left out before.
    pub filtered: Filtered,
    pub look_back: LookBack,
    pub first_file: Option<Vec<u8>>,
}

/// What is to be done about directories, by address; about all others: list them, and what is below.
#[derive(Default)]
pub(super) struct Marks {
    whole: HashMap<usize, Mark>,
    ranged: HashMap<usize, RangedMarks>,
}

impl Marks {
    /// What is to be done about a directory.
    pub fn of(&self, directory: &Arc<Directory>) -> Mark {
        self.whole.get(&address(directory)).copied().unwrap_or(Mark::Whole)
    }

    /// What is to be done about a range of its names.
    pub fn of_range(&self, directory: &Arc<Directory>, span: &Span) -> Mark {
        let ranged = self.ranged.get(&address(directory));
        ranged.and_then(|ranges| ranges.of(span)).unwrap_or_else(|| self.of(directory))
    }
}

impl Default for LookBack {
    fn default() -> Self {
        Self::Last(0)
    }
}

impl Unit {
    /// Directories that were entries, as they could not be read or were empty, and that a retry lists again.
    pub fn again(directories: &[Entry]) -> Self {
        let mark = |entry: &Entry| match entry.modified_ns {
            Entry::FOUND_BELOW_NS => Mark::Partly,
            _ => Mark::Again,
        };
        let tree = Tree::of_paths(directories.iter().map(|entry| (entry.root, entry.relative_path(), mark(entry))));
        Self::Directories(Directories { tree, look_back: LookBack::Everywhere, ..Directories::default() })
    }

    /// Directories to be listed, none of which was before.
    pub fn whole(directories: impl IntoIterator<Item = (u16, Vec<u8>)>) -> Self {
        let tree = Tree::of_paths(directories.into_iter().map(|(root, path)| (root, path, Mark::Whole)));
        Self::Directories(Directories { tree, ..Directories::default() })
    }

    /// Read what the ledger has of a unit; none: nothing yet.
    pub fn decode(blob: Option<&[u8]>) -> Result<Self> {
        let Some(blob) = blob else { return Ok(Self::Roots) };
        let damaged = |message: String| Error::DamagedBlob { what: "scan unit", message };
        let text = zstd::stream::decode_all(blob).map_err(|error| damaged(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))
    }

    /// Write it for the ledger.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Panicked(error.to_string()))?;
        zstd::bulk::compress(&text, LEVEL).map_err(Error::io("compress a blob of the ledger"))
    }

    /// Which tasks hold entries that the scan has to know.
    pub fn look_back(&self) -> LookBack {
        match self {
            Self::Roots | Self::Named(_) => LookBack::default(),
            Self::Directories(directories) => directories.look_back,
        }
    }

    /// What the scan begins with.
    pub(super) fn begin(&self, plan: &Plan, filter: &Filter) -> Result<Beginning> {
        match self {
            Self::Roots => Beginning::at_roots(plan, filter),
            Self::Directories(directories) => Beginning::at(directories, plan, filter),
            Self::Named(_) => Ok(Beginning::default()),
        }
    }

    /// The entries of a manifest that lie in directories which are partly emitted, as a manifest; none if there are none.
    pub fn known_in(&self, manifest: &[u8]) -> Result<Option<Vec<u8>>> {
        let Self::Directories(directories) = self else { return Ok(None) };
        let nodes = directories.tree.nodes()?;
        let mut wanted = HashSet::new();
        let partly = nodes.iter().enumerate().filter(|(_, node)| node.mark.is_known()).map(|(index, _)| index);
        let ranges = directories.ranges.iter().map(StoredRange::read).collect::<Result<Vec<_>>>()?;
        let partly_ranged = ranges.iter().filter(|range| range.mark.is_known()).map(|range| range.node);
        for index in partly.chain(partly_ranged).filter(|index| *index < nodes.len()) {
            let (mut names, mut next) = (Vec::new(), Some(index));
            while let Some(index) = next {
                names.push(nodes[index].name.as_slice());
                next = nodes[index].parent;
            }
            names.pop(); // the root, which has no name
            names.reverse();
            wanted.insert((nodes[index].root, names.join(&b'/')));
        }
        let (manifest, mut known) = (Manifest::decode(manifest)?, ManifestBuilder::default());
        for index in 0..manifest.len() {
            if wanted.contains(&(manifest.root(index), manifest.directory(index).to_vec())) {
                known.push(&manifest.entry(index)?)?;
            }
        }
        (!known.is_empty()).then(|| known.finish()).transpose()
    }
}

impl Beginning {
    fn at_roots(plan: &Plan, filter: &Filter) -> Result<Self> {
        let root =
            |(index, root): (usize, &Root)| Ok((Directory::root_of(filter, index, &path_of(root)?), Mark::Whole));
        Ok(Self { singles: plan.roots.iter().enumerate().map(root).collect::<Result<_>>()?, ..Self::default() })
    }

    fn at(directories: &Directories, plan: &Plan, filter: &Filter) -> Result<Self> {
        let nodes = directories.tree.nodes()?;
        let mut beginning = Self { look_back: directories.look_back, ..Self::default() };
        beginning.first_file.clone_from(&directories.first_file);
        for reason in Reason::ALL {
            beginning.filtered.add_many(reason, directories.filtered.get(reason.name()).copied().unwrap_or_default());
        }
        let mut made: Vec<Option<Arc<Directory>>> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let parent = node.parent.map(|parent| made[parent].clone().ok_or_else(below_a_leaf)).transpose()?;
            made.push(match parent {
                Some(parent) if node.mark == Mark::Whole => {
                    beginning.wait_below(&parent, &node.name);
                    None
                }
                Some(parent) => Some(beginning.take(Directory::child_of(filter, &parent, node.name.into()), node.mark)),
                None => {
                    let root = plan.roots.get(usize::from(node.root)).ok_or_else(below_a_leaf)?;
                    let directory = Directory::root_of(filter, node.root.into(), &path_of(root)?);
                    Some(beginning.take(directory, node.mark))
                }
            });
        }
        for stored in &directories.ranges {
            let range = stored.read()?;
            let directory = made.get(range.node).and_then(Clone::clone).ok_or_else(below_a_leaf)?;
            Ranged::add(&mut beginning.ranged, &directory, range.span, range.mark);
        }
        beginning.order();
        Ok(beginning)
    }

    fn take(&mut self, directory: Arc<Directory>, mark: Mark) -> Arc<Directory> {
        if mark != Mark::Passed {
            self.singles.push((directory.clone(), mark));
        }
        directory
    }

    fn wait_below(&mut self, parent: &Arc<Directory>, name: &[u8]) {
        match self.below.last_mut().filter(|(last, _)| address(last) == address(parent)) {
            Some((_, names)) => names.push(name),
            None => {
                let mut names = Names::default();
                names.push(name);
                self.below.push((parent.clone(), names));
            }
        }
    }

    /// What is partly emitted comes first, so that soon nothing is; what lies deep next: the way there, once open,
    /// leads past all that lies above.
    fn order(&mut self) {
        self.singles.sort_by_key(|(_, mark)| !mark.is_known());
        self.below.sort_by_key(|(parent, _)| std::cmp::Reverse(parent.depth()));
    }

    /// What is to be done about the directories that are listed by themselves, as a whole or in ranges.
    pub fn marks(&self) -> Marks {
        let whole = self.singles.iter().map(|(directory, mark)| (address(directory), *mark)).collect();
        let ranged = self.ranged.iter().map(|ranged| (address(&ranged.directory), ranged.ranges.clone())).collect();
        Marks { whole, ranged }
    }

    /// Where listing begins; roots that are files are no part of it.
    pub fn split(&self, plan: &Plan) -> Begins {
        let is_listed = |directory: &Directory| directory.parent().is_some() || !is_file(plan, directory);
        let singles = self.singles.iter().filter(|(directory, _)| is_listed(directory));
        let singles = singles.map(|(directory, _)| (directory.root(), Origin::Directory(directory.clone())));
        let below = self.below.iter();
        let below = below.map(|(parent, names)| (parent.root(), Origin::Below(parent.clone(), names.clone())));
        let mut begins = Begins { trees: Vec::new(), synthetic: Vec::new() };
        let ranged = self.ranged.iter().map(|ranged| (ranged.directory.root(), ranged.origin()));
        for (root, origin) in ranged.chain(singles).chain(below) {
            let is_synthetic = plan.roots.get(root).is_some_and(|root| entries_of(root).is_some());
            if is_synthetic { begins.synthetic.push(origin) } else { begins.trees.push(origin) }
        }
        begins
    }
}

/// The path of a root; of one that is made up: none.
fn path_of(root: &Root) -> Result<Vec<u8>> {
    if entries_of(root).is_some() { Ok(Vec::new()) } else { root.shown_path() }
}

/// Whether a root is a file that was named by itself.
pub(super) fn is_file(plan: &Plan, root: &Directory) -> bool {
    plan.roots.get(root.root()).is_some_and(|root| root.only.is_some())
}

fn below_a_leaf() -> Error {
    Error::DamagedBlob { what: "scan unit", message: "a directory lies nowhere".to_owned() }
}

/// zstd level of units: they are rewritten several times a second.
const LEVEL: i32 = 1;
