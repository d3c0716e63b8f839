//! Directories as the ledger has them: a tree of names, so that nested ones cost a name each, not a path.
//!
//! Parents come before what is below them. Runs of nodes with one parent store it once, as the distance back to it
//! from the first of the run: ten thousand subdirectories of one directory are one pair of numbers, and so is each
//! level of a chain; what is left are the names, which compress well. Names are percent-encoded, as they are bytes.

use std::{collections::HashMap, sync::Arc};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, scan::Directory};

/// What is still to be done about a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: others lie below it.
    Passed,
    /// It was not listed: list it, and what is below it.
    Whole,
    /// It was listed, and none of its entries emitted: list its entries once more. What is below it is seen to elsewhere.
    Listed,
    /// The same, but for those of its entries that were emitted.
    Partly,
    /// It could not be read the last time: list it, and what is below it, but for entries that were emitted.
    Again,
}

impl Mark {
    /// Whether what is below the directory is still to be walked.
    pub fn descends(self) -> bool {
        matches!(self, Self::Whole | Self::Again)
    }

    /// Whether some of its entries may have been emitted.
    pub fn is_known(self) -> bool {
        matches!(self, Self::Partly | Self::Again)
    }

    /// How it is stored.
    pub fn sign(self) -> char {
        match self {
            Self::Passed => '-',
            Self::Whole => 'w',
            Self::Listed => 'l',
            Self::Partly => 'p',
            Self::Again => 'a',
        }
    }

    /// Read it again.
    pub fn of_sign(sign: char) -> Result<Self> {
        let known = [Self::Passed, Self::Whole, Self::Listed, Self::Partly, Self::Again];
        known.into_iter().find(|mark| mark.sign() == sign).ok_or_else(|| damaged(format!("mark is `{sign}`")))
    }
}

/// A tree as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Indices into the plan's roots of the nodes that have no parent, in order.
    roots: Vec<u16>,
    /// Distance from the first node of a run back to the parent of all its nodes, and their number; distance 0: roots.
    runs: Vec<(u32, u32)>,
    names: Vec<String>,
    marks: String,
}

/// One directory of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Index of its parent in the tree; none for a root.
    pub parent: Option<usize>,
    /// Index into the plan's roots.
    pub root: u16,
    /// Its name; empty for a root.
    pub name: Vec<u8>,
    /// What is to be done about it.
    pub mark: Mark,
}

impl Tree {
    /// A tree of directories given by root and relative path.
    pub fn of_paths(paths: impl IntoIterator<Item = (u16, Vec<u8>, Mark)>) -> Self {
        let mut builder = TreeBuilder::default();
        for (root, path, mark) in paths {
            let mut last = builder.push(None, root, b"", Mark::Passed);
            for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
                last = builder.push(Some(last), root, name, Mark::Passed);
            }
            builder.marks[last] = mark;
        }
        builder.finish()
    }

    /// The directories, parents before what is below them.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let mut marks = self.marks.chars();
        let (mut roots, mut names) = (self.roots.iter(), self.names.iter());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.marks.len());
        for &(distance, count) in &self.runs {
            let first = nodes.len();
            for _ in 0..count {
                let mark = marks.next().ok_or_else(|| damaged("marks are missing".to_owned()))?;
                let mark = Mark::of_sign(mark)?;
                if distance == 0 {
                    let root = *roots.next().ok_or_else(|| damaged("roots are missing".to_owned()))?;
                    nodes.push(Node { parent: None, root, name: Vec::new(), mark });
                    continue;
                }
                let parent = first.checked_sub(distance as usize);
                let parent = parent.ok_or_else(|| damaged("a parent is missing".to_owned()))?;
                let name = names.next().ok_or_else(|| damaged("names are missing".to_owned()))?;
                let (root, name) = (nodes[parent].root, percent_decode_str(name).collect());
                nodes.push(Node { parent: Some(parent), root, name, mark });
            }
        }
        Ok(nodes)
    }
}

/// Puts a tree together.
#[derive(Default)]
pub struct TreeBuilder {
    /// The node of each directory, by its address; `kept` has them stay there.
    index: HashMap<usize, usize>,
    kept: Vec<Arc<Directory>>,
    tree: Tree,
    marks: Vec<Mark>,
    /// Parent of the run at hand.
    run_parent: Option<usize>,
}

impl TreeBuilder {
    /// Put a directory in, with those above it; a mark replaces that of a directory which was only passed.
    pub fn mark(&mut self, directory: &Arc<Directory>, mark: Mark) {
        let node = self.node(directory);
        self.marks[node] = mark;
    }

    /// Put subdirectories in by their names.
    pub fn below<'n>(&mut self, parent: &Arc<Directory>, names: impl IntoIterator<Item = &'n [u8]>, mark: Mark) {
        let node = self.node(parent);
        for name in names {
            self.push(Some(node), 0, name, mark);
        }
    }

    /// The tree.
    pub fn finish(mut self) -> Tree {
        self.tree.marks = self.marks.iter().map(|mark| mark.sign()).collect();
        self.tree
    }

    /// Put a directory in, with those above it; gives its index.
    pub fn node(&mut self, directory: &Arc<Directory>) -> usize {
        let (mut missing, mut next) = (Vec::new(), Some(directory));
        let mut last = None;
        while let Some(directory) = next {
            last = self.index.get(&address(directory)).copied();
            if last.is_some() {
                break;
            }
            missing.push(directory);
            next = directory.parent();
        }
        for directory in missing.into_iter().rev() {
            let name = if last.is_some() { directory.name() } else { b"" };
            let node = self.push(last, root_of(directory), name, Mark::Passed);
            self.index.insert(address(directory), node);
            self.kept.push(directory.clone());
            last = Some(node);
        }
        last.expect("a directory is a node once it has been put in")
    }

    fn push(&mut self, parent: Option<usize>, root: u16, name: &[u8], mark: Mark) -> usize {
        let node = self.marks.len();
        self.marks.push(mark);
        match self.tree.runs.last_mut().filter(|_| self.run_parent == parent) {
            Some((_, count)) => *count += 1,
            None => {
                let distance = parent.map_or(0, |parent| node - parent);
                self.tree.runs.push((u32::try_from(distance).expect("a tree is far smaller"), 1));
                self.run_parent = parent;
            }
        }
        match parent {
            None => self.tree.roots.push(root),
            Some(_) => self.tree.names.push(percent_encode(name, ESCAPED).to_string()),
        }
        node
    }
}

/// Where a directory lies in memory: tells it from all others as long as it is kept.
pub fn address(directory: &Arc<Directory>) -> usize {
    Arc::as_ptr(directory) as usize
}

/// Index into the plan's roots of a directory that the scan of a job has come to.
pub fn root_of(directory: &Directory) -> u16 {
    u16::try_from(directory.root()).expect("it was made from such an index")
}

fn damaged(message: String) -> Error {
    Error::DamagedBlob { what: "scan unit", message }
}

const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Filter;

    fn directory(path: &[&[u8]]) -> Arc<Directory> {
        let filter = Filter::default();
        let root = Directory::root_of(&filter, 3, b"/data");
        path.iter().fold(root, |parent, name| Directory::child_of(&filter, &parent, (*name).into()))
    }

    fn path(nodes: &[Node], mut node: usize) -> Vec<u8> {
        let mut names = vec![nodes[node].name.as_slice()];
        while let Some(parent) = nodes[node].parent {
            node = parent;
            names.push(nodes[node].name.as_slice());
        }
        names.reverse();
        names.join(&b'/')
    }

    #[test]
    fn test_tree_read_again_has_each_directory_with_its_mark() {
        let deep = directory(&[b"a", b"%b\n\xff", b"c"]);
        let above = deep.parent().expect("has one").clone();
        let mut builder = TreeBuilder::default();
        builder.mark(&deep, Mark::Partly);
        builder.below(&above, [b"x".as_slice(), b"y"], Mark::Whole);
        builder.mark(&above, Mark::Listed);
        let tree = builder.finish();
        let nodes = tree.nodes().expect("reads");
        let found: Vec<_> = (0..nodes.len()).map(|node| (path(&nodes, node), nodes[node].mark)).collect();
        assert_eq!(
            found,
            [
                (b"".to_vec(), Mark::Passed),
                (b"/a".to_vec(), Mark::Passed),
                (b"/a/%b\n\xff".to_vec(), Mark::Listed),
                (b"/a/%b\n\xff/c".to_vec(), Mark::Partly),
                (b"/a/%b\n\xff/x".to_vec(), Mark::Whole),
                (b"/a/%b\n\xff/y".to_vec(), Mark::Whole),
            ]
        );
        assert!(nodes.iter().all(|node| node.root == 3));
    }

    #[test]
    fn test_tree_of_paths_marks_their_ends_only() {
        let paths = [(0, b"".to_vec(), Mark::Again), (1, b"a/b".to_vec(), Mark::Again)];
        let nodes = Tree::of_paths(paths).nodes().expect("reads");
        let again: Vec<_> = (0..nodes.len()).filter(|node| nodes[*node].mark == Mark::Again).collect();
        let found: Vec<_> = again.iter().map(|node| (nodes[*node].root, path(&nodes, *node))).collect();
        assert_eq!(found, [(0, b"".to_vec()), (1, b"/a/b".to_vec())]);
    }

    #[test]
    fn test_tree_that_is_damaged_is_told() {
        let good = Tree::of_paths([(0, b"a".to_vec(), Mark::Whole)]);
        let damages: [fn(&mut Tree); 4] = [
            |tree| tree.roots.clear(),
            |tree| tree.names.clear(),
            |tree| tree.marks = "?".repeat(2),
            |tree| tree.runs = vec![(7, 1)],
        ];
        for damage in damages {
            let mut tree = good.clone();
            damage(&mut tree);
            assert_eq!(tree.nodes().expect_err("is damaged").kind(), "damaged_blob");
        }
    }
}
