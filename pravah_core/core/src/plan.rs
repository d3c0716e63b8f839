//! What an engine call needs to know of a job: roots, steps and sink, as the supervisor sends them.
//!
//! A plan is JSON; paths in it are percent-encoded `file://` URIs, so that names which are not UTF-8 survive.

use std::{collections::BTreeSet, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::{
    Error, Result,
    effort::{Disk, disk_of},
    entry::join,
    manifest::Manifest,
    naming::{Capture, Template},
    pipeline::Pipeline,
    processors::{is_expanding, is_partitioning, is_reducing},
    scan::{FilterRules, Glob, Links},
    stores::s3::{ObjectOptions, is_object_uri},
};

/// One job, as far as the engine is concerned. Immutable; the same for all of its tasks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The job's id, part of the names of temporaries.
    pub job: String,
    /// Where entries are listed.
    pub roots: Vec<Root>,
    /// Which entries count.
    #[serde(default)]
    pub filter: FilterRules,
    /// Gives names to parts of sources' paths, for the names of outputs.
    #[serde(default)]
    pub capture: Option<Capture>,
    /// The steps, in order: processor name and parameters.
    pub steps: Vec<StepConfig>,
    /// Where outputs go; none for a pipeline of inspect steps.
    #[serde(default)]
    pub sink: Option<SinkPlan>,
    /// The directory that findings alone are put into, left out of the scan as a sink is.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Identifies steps, their versions and parameters; compared by `overwrite: changed`.
    pub pipeline_hash: String,
    /// Tries of a file for transient errors.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u32,
    /// Each source is replaced by its output: the sink is `file:///`, and outputs go where their sources are.
    #[serde(default)]
    pub in_place: bool,
    /// A file of an output's name that is equal to the output is the job's own: its ledger has lost commits.
    #[serde(default)]
    pub adopt: bool,
    /// What becomes of a source once its output is acknowledged.
    #[serde(default)]
    pub after: After,
    /// What symbolic links below the roots lead to counts as if it lay there.
    #[serde(default)]
    pub follow_symlinks: bool,
    /// Its entries are those of a list of names, and not all that its directories have.
    #[serde(default)]
    pub listed: bool,
    /// What a path that a list names, and that is not there, is.
    #[serde(default)]
    pub missing: Missing,
    /// Bytes that all tasks of a process may read in a second.
    #[serde(default)]
    pub read_rate: Option<u64>,
    /// Bytes that they may write in a second.
    #[serde(default)]
    pub write_rate: Option<u64>,
}

/// What a path that a list names, and that is not there, is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A failure.
    #[default]
    Fail,
    /// Filtered, and counted.
    Ignore,
}

/// What becomes of a source once its output is acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It stays.
    #[default]
    Keep,
    /// It is removed.
    Delete,
    /// It is moved below this directory (`file:///…`), its path relative to its root kept.
    Move(String),
}

/// A directory that is listed, or one file of a directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The directory, `file:///…`, percent-encoded.
    pub uri: String,
    /// Percent-encoded name of the one file of that directory that is meant; none: the whole tree.
    #[serde(default)]
    pub only: Option<String>,
    /// Percent-encoded globs, relative to the directory, of which an entry has to match one; none: everything counts.
    #[serde(default)]
    pub globs: Vec<String>,
    /// Percent-encoded prefix of output names (`{root}/…`), used where a job has several roots.
    #[serde(default)]
    pub prefix: Option<String>,
}

/// One configured step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// The processor's name.
    pub name: String,
    /// Its parameters, checked by its descriptor's schema.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
}

/// Where and how outputs are published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkPlan {
    /// The directory (`file:///…`), or `null:` which counts bytes and keeps none (plans, benchmarks).
    pub uri: String,
    /// Percent-encoded name of the one output, where the sink is a file in that directory.
    #[serde(default)]
    pub only: Option<String>,
    /// How outputs are named; none: as their sources, with the extensions as the steps make them.
    #[serde(default)]
    pub path: Option<Template>,
    /// What becomes of entries whose outputs would get one name.
    #[serde(default)]
    pub on_collision: OnCollision,
    /// What happens to a file that has the output's name.
    pub overwrite: Overwrite,
    /// How outputs reach the disk before they are acknowledged.
    pub durability: Durability,
    /// How outputs are checked before they are published.
    #[serde(default)]
    pub verify: Verify,
    /// What of a source, beside its content, its output keeps.
    #[serde(default)]
    pub preserve: Vec<Preserve>,
    /// How objects are kept, where the sink is in an object store.
    #[serde(default)]
    pub s3: Option<ObjectOptions>,
}

impl SinkPlan {
    /// Whether outputs are kept at all.
    pub fn keeps_outputs(&self) -> bool {
        !self.uri.starts_with("null:")
    }

    /// Whether outputs keep this of their sources.
    pub fn preserves(&self, what: Preserve) -> bool {
        self.preserve.contains(&what)
    }
}

/// How outputs are checked before they are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// By their sizes.
    #[default]
    Size,
    /// By a checksum of what the system gives back when asked at once.
    Checksum,
    /// By a checksum of what is read from the disk, once it is there.
    Content,
}

/// What of a source its output can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preserve {
    /// The modification time.
    Mtime,
    /// The permission bits.
    Mode,
    /// User and group.
    Owner,
    /// Symbolic links stay links.
    Links,
    /// Directories without entries are made, too.
    EmptyDirs,
    /// What an object's own metadata says.
    Metadata,
    /// An object's tags.
    Tags,
}

/// What becomes of entries whose outputs would get one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCollision {
    /// Each of them fails.
    #[default]
    Fail,
    /// Each keeps its source's extension; where names collide even so, they fail.
    KeepExt,
}

/// What happens to a file that has the output's name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overwrite {
    /// Replace what Pravah published there, when source or pipeline changed; a stranger's file is a failure.
    Changed,
    /// Keep it; the entry is skipped.
    Never,
    /// Replace it when the source is newer.
    Newer,
    /// Replace it.
    Always,
    /// Fail.
    Error,
}

/// How outputs reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Not waited for: survives a kill, not a power cut.
    None,
    /// Once per window.
    Batch,
    /// Each file by itself.
    Always,
}

impl Plan {
    /// Read a plan from JSON.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| Error::InvalidPlan(error.to_string()))
    }

    /// What is done with links below the roots.
    pub fn links(&self) -> Links {
        if self.follow_symlinks { Links::Follow } else { Links::Skip }
    }

    /// Build the pipeline of this plan's steps.
    pub fn pipeline(&self) -> Result<Pipeline> {
        Pipeline::new(&self.steps)
    }

    /// The distinct directories, relative to the sink, under which the outputs of a manifest are remembered.
    ///
    /// None for names that are known only at run time: what has such a name is compared itself.
    pub fn output_directories(&self, manifest: &[u8]) -> Result<Vec<Vec<u8>>> {
        if self.only_output().is_some() {
            return Ok(vec![Vec::new()]);
        }
        if self.names_at_run_time() {
            return Ok(Vec::new());
        }
        let manifest = Manifest::decode(manifest)?;
        if self.template().is_none() {
            let directories = manifest.directories();
            return Ok(directories.iter().map(|(root, directory)| join(&self.prefix(*root), directory)).collect());
        }
        let pipeline = self.pipeline()?;
        let directory = |index| {
            let named = manifest.named(index);
            let named = match self.expands() {
                true => self.staging_directory(&pipeline, &named),
                false => self.output_name(&pipeline, &named).map(|(directory, _)| directory),
            };
            named.ok()
        };
        let directories: BTreeSet<_> = (0..manifest.len()).filter_map(directory).collect();
        Ok(directories.into_iter().collect())
    }

    /// The disks that sources are on and outputs go to, as far as they have one of their own.
    pub fn disks(&self) -> Vec<Disk> {
        let sink = self.sink.as_ref().filter(|_| !self.in_place).map(|sink| sink.uri.as_str());
        let uris = self.roots.iter().map(|root| root.uri.as_str()).chain(sink);
        let mut disks: Vec<Disk> =
            uris.filter_map(|uri| disk_of(Path::new(OsStr::from_bytes(&file_path(uri).ok()?)))).collect();
        disks.sort_unstable();
        disks.dedup();
        disks
    }

    /// Whether outputs are made of several files each.
    pub fn reduces(&self) -> bool {
        self.steps.iter().any(is_reducing)
    }

    /// Whether several outputs are made of what else would be one.
    pub fn expands(&self) -> bool {
        self.steps.iter().any(is_expanding)
    }

    /// Whether outputs lie in directories that values in them tell.
    pub fn partitions(&self) -> bool {
        self.steps.iter().any(is_partitioning)
    }

    /// The whole path of a source.
    pub fn source_path(&self, root: u16, directory: &[u8], name: &[u8]) -> Vec<u8> {
        let uri = self.roots[usize::from(root)].uri.as_str();
        let root = decode(uri.strip_prefix("file://").unwrap_or(uri));
        let root = root.strip_suffix(b"/").unwrap_or(&root);
        let relative = join(directory, name);
        if relative.is_empty() { root.to_vec() } else { [root, b"/", &relative].concat() }
    }

    /// The name of the one output, where the sink is a file.
    pub(crate) fn only_output(&self) -> Option<Vec<u8>> {
        self.sink.as_ref().and_then(|sink| sink.only.as_deref()).map(decode)
    }

    /// Where the outputs of a root go, where no template says it.
    pub(crate) fn prefix(&self, root: u16) -> Vec<u8> {
        if self.in_place {
            return self.roots[usize::from(root)].path_in_store();
        }
        self.root_prefix(root)
    }

    /// What a root is called: the name of its directory; a file that is named by itself has none.
    pub(crate) fn root_name(&self, root: u16) -> Vec<u8> {
        if self.roots[usize::from(root)].only.is_some() {
            return Vec::new();
        }
        let path = self.source_path(root, b"", b"");
        path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec()
    }

    /// What tells the files of a root from those of the others; empty where there is one root.
    pub fn root_prefix(&self, root: u16) -> Vec<u8> {
        self.roots[usize::from(root)].prefix.as_deref().map(decode).unwrap_or_default()
    }
}

impl Root {
    /// The directory's path, as bytes.
    pub fn path(&self) -> Result<Vec<u8>> {
        file_path(&self.uri)
    }

    /// The directory's path; in an object store its URI, decoded.
    pub fn shown_path(&self) -> Result<Vec<u8>> {
        place_path(&self.uri)
    }

    /// The directory's path below the root of its file system, or its bucket.
    fn path_in_store(&self) -> Vec<u8> {
        let path = match self.uri.split_once("://") {
            Some((_, rest)) if is_object_uri(&self.uri) => rest.split_once('/').unwrap_or_default().1,
            Some((_, path)) => path.strip_prefix('/').unwrap_or(path),
            None => &self.uri,
        };
        decode(path.strip_suffix('/').unwrap_or(path))
    }

    /// What the root's globs take; none where everything counts.
    pub fn glob(&self) -> Result<Option<Glob>> {
        if self.globs.is_empty() {
            return Ok(None);
        }
        let text = |glob: &String| {
            String::from_utf8(decode(glob)).map_err(|_| Error::InvalidParameter {
                step: "source".to_owned(),
                message: format!("the glob `{glob}` is not UTF-8"),
            })
        };
        Glob::new(&self.globs.iter().map(text).collect::<Result<Vec<_>>>()?).map(Some)
    }

    /// The name of the one file that is meant, if only one is.
    pub fn only_name(&self) -> Option<Vec<u8>> {
        self.only.as_deref().map(decode)
    }
}

/// The path of a place, or its URI, decoded, in an object store.
pub fn place_path(uri: &str) -> Result<Vec<u8>> {
    if !is_object_uri(uri) {
        return file_path(uri);
    }
    let path = decode(uri);
    Ok(path.strip_suffix(b"/").unwrap_or(&path).to_vec())
}

/// Decode a `file://` URI to a path.
pub fn file_path(uri: &str) -> Result<Vec<u8>> {
    uri.strip_prefix("file://").map(decode).ok_or_else(|| Error::InvalidPlan(format!("`{uri}` is not a file:// URI")))
}

fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn default_max_attempts() -> u32 {
    3
}
