//! A task against a real file system, with the ledger's side of it played here.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use pravah_core::{
    Result,
    engine::{Account, Control, Ending, Engine, Task, Verdict, WindowRecord, after},
    entry::{Entry, Kind},
    manifest::ManifestBuilder,
    naming::Naming,
    outcome::Recorded,
    plan::Plan,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A source and a sink, and the ledger's side of one task.
pub struct Bench {
    pub directory: TempDir,
    pub overwrite: &'static str,
    /// The engine's budget for large files.
    pub memory_bytes: u64,
    pub steps: Value,
    pub task: Task,
    /// Keys of the plan, and of its sink, beside those that every test has.
    pub plan_keys: Value,
    pub sink_keys: Value,
}

impl Bench {
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let bench = Self {
            directory,
            overwrite: "changed",
            memory_bytes: 64 << 20,
            steps: json!([{"name": "copy"}]),
            plan_keys: json!({}),
            sink_keys: json!({}),
            task: Task { id: 7, counter: 1, kernel_leases: true, ..Task::default() },
        };
        fs::create_dir(bench.source()).expect("makes the source");
        for (path, content) in files {
            bench.write(&bench.source().join(path), content);
        }
        bench
    }

    pub fn source(&self) -> PathBuf {
        self.directory.path().join("in")
    }

    pub fn sink(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    pub fn write(&self, path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().expect("has a parent")).expect("makes its directory");
        fs::write(path, content).expect("writes");
    }

    pub fn plan(&self) -> Plan {
        let uri = |path: PathBuf| format!("file://{}", path.display());
        let mut plan = json!({
            "job": "01TEST", "roots": [{"uri": uri(self.source())}], "steps": self.steps, "pipeline_hash": "p1",
            "sink": {"uri": uri(self.sink()), "overwrite": self.overwrite, "durability": "batch"},
        });
        let add = |into: &mut Value, keys: &Value| {
            into.as_object_mut().expect("is a map").extend(keys.as_object().expect("is a map").clone());
        };
        if self.plan_keys["in_place"] == true {
            plan["sink"]["uri"] = json!("file:///");
        }
        add(&mut plan["sink"], &self.sink_keys);
        add(&mut plan, &self.plan_keys);
        Plan::parse(&plan.to_string()).expect("is a plan")
    }

    /// The manifest of all files of the source, in order of their paths.
    pub fn manifest(&mut self) {
        let mut builder = ManifestBuilder::default();
        let mut paths: Vec<_> = walkdir::WalkDir::new(self.source())
            .into_iter()
            .map(|entry| entry.expect("lists"))
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| entry.into_path())
            .collect();
        paths.sort();
        for path in paths {
            let relative = path.strip_prefix(self.source()).expect("is below");
            builder
                .push(&Entry {
                    root: 0,
                    directory: relative.parent().expect("has one").as_os_str().as_bytes().to_vec(),
                    name: relative.file_name().expect("has one").as_bytes().to_vec(),
                    kind: if path.is_symlink() { Kind::Symlink } else { Kind::File },
                    size_bytes: fs::symlink_metadata(&path).expect("is there").len(),
                    modified_ns: 0,
                    problem: None,
                    naming: Naming::default(),
                })
                .expect("pushes");
        }
        self.task.manifest = builder.finish().expect("encodes");
    }

    /// Run the task as a ledger would, up to the record that `stop` says is lost with the process.
    pub fn run(&mut self, stop: impl Fn(usize, &WindowRecord) -> Stop) -> Result<(Ending, Vec<WindowRecord>)> {
        let (plan, engine) = (self.plan(), Engine::new(Some(2), self.memory_bytes)?);
        let (mut records, mut windows, mut fingerprints) = (Vec::new(), self.task.windows.clone(), Vec::new());
        let ending = engine.run_task(&plan, &self.task, &Control::default(), &mut |record| {
            let at = stop(records.len(), &record);
            if at == Stop::Before {
                return Ok(Verdict::Fenced);
            }
            if record.acknowledge {
                let last = windows.last_mut().expect("a window was recorded");
                (last.acknowledged, last.amendments) = (true, record.amendments.clone());
            }
            fingerprints.extend(record.fingerprints.clone());
            if let Some(blob) = record.window.clone() {
                windows.push(Recorded { blob, amendments: None, acknowledged: false });
            }
            records.push(record);
            Ok(if at == Stop::After { Verdict::Fenced } else { Verdict::Committed })
        })?;
        self.task.windows = windows;
        self.task.fingerprints.extend(fingerprints);
        self.task.counter += 1;
        Ok((ending, records))
    }

    pub fn run_through(&mut self) -> WindowRecord {
        let (ending, mut records) = self.run(|_, _| Stop::Never).expect("runs");
        assert_eq!(ending, Ending::Finished);
        records.pop().expect("ends with a record")
    }

    /// A later job over the same source: nothing is left but what is remembered of outputs.
    pub fn next_job(&mut self) {
        self.manifest();
        self.task.windows.clear();
    }

    /// Do what closing does with the sources.
    pub fn finish_sources(&self) -> Account {
        after::finish_sources(&self.plan(), self.task.id, &self.task.manifest, &self.task.windows).expect("runs")
    }

    pub fn output(&self, path: &str) -> Vec<u8> {
        fs::read(self.sink().join(path)).expect("is there")
    }

    pub fn litter(&self) -> usize {
        let all = walkdir::WalkDir::new(self.directory.path()).into_iter().map(|entry| entry.expect("lists"));
        all.filter(|entry| entry.file_name().as_bytes().starts_with(b".pravah-")).count()
    }

    pub fn account(&self) -> Vec<Value> {
        let lines = pravah_core::wire::file_lines(&self.plan(), &self.task.manifest, &self.task.windows);
        let text = pravah_core::wire::ndjson(&lines.expect("reads"), None, None);
        text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
    }
}

/// Where the process dies at a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stop {
    Never,
    /// The transaction is lost.
    Before,
    /// The transaction is committed, and nothing after it happens.
    After,
}

/// Make sources look as if they had been written long ago, since young ones are done again.
pub fn age(path: &Path) {
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(old)).expect("sets the time");
}
