//! What every sink that keeps files must do: stage unseen, publish whole, adopt its own, leave no litter.

use std::{fs, sync::Arc};

use pravah_core::{
    outcome::Publish,
    plan::{Durability, OnCollision, Overwrite, SinkPlan, Verify},
    stores::{Beginning, Output, Sink, SinkDirectory, Staging, Standing, Temporaries, Temporary, open_sink},
};
use tempfile::TempDir;

const DURABILITIES: [Durability; 3] = [Durability::None, Durability::Batch, Durability::Always];
const PUBLISHES: [Publish; 2] = [Publish::Create, Publish::Replace];

/// Run a case for each way to wait for the disk and each way to publish.
fn each(case: impl Fn(&Case, Publish)) {
    for durability in DURABILITIES {
        for publish in PUBLISHES {
            let directory = tempfile::tempdir().expect("makes a directory");
            let uri = format!("file://{}/sink", directory.path().display());
            let (overwrite, verify, preserve) = (Overwrite::Changed, Verify::Size, Vec::new());
            let (path, on_collision) = (None, OnCollision::Fail);
            let plan =
                SinkPlan { uri, only: None, path, on_collision, overwrite, durability, verify, preserve, s3: None };
            let sink = open_sink(&plan, Temporaries::Nameless).expect("opens");
            case(&Case { directory, sink }, publish);
        }
    }
}

fn begin(directory: &Arc<dyn SinkDirectory>, temporary: &Temporary, publish: Publish) -> Box<dyn Staging> {
    directory.stage(&Beginning { temporary, publish, name: b"name", attributes: None }).expect("begins")
}

struct Case {
    directory: TempDir,
    sink: Box<dyn Sink>,
}

impl Case {
    fn open(&self, path: &str) -> Arc<dyn SinkDirectory> {
        self.sink.open_directory(path.as_bytes()).expect("opens")
    }

    fn stage(&self, directory: &Arc<dyn SinkDirectory>, name: &str, content: &[u8], publish: Publish) -> Output {
        let temporary = Temporary { task: Temporary::task_prefix("JOB", 1), counter: 3, number: 0 };
        let mut staging = begin(directory, &temporary, publish);
        content.chunks(3).for_each(|chunk| staging.write(chunk).expect("writes"));
        let (staged, held) = staging.finish(None).expect("ends");
        let (directory, into, name, replaces) = (Arc::clone(directory), None, name.into(), None);
        Output { directory, into, name, temporary, staged, replaces, held }
    }

    /// Stage and publish, with every wait between.
    fn publish(&self, directory: &Arc<dyn SinkDirectory>, name: &str, content: &[u8], publish: Publish) -> Output {
        let mut outputs = [self.stage(directory, name, content, publish)];
        self.sink.make_durable(&outputs).expect("is durable");
        outputs[0].publish(publish).expect("publishes");
        self.sink.make_published_durable(&[Arc::clone(directory)]).expect("is durable");
        let [output] = outputs;
        output
    }

    fn listed(&self, path: &str) -> Vec<String> {
        let listed = fs::read_dir(self.directory.path().join("sink").join(path)).expect("lists");
        let mut names: Vec<String> =
            listed.map(|entry| entry.expect("lists").file_name().into_string().expect("is UTF-8")).collect();
        names.sort();
        names
    }

    /// Change the only staged output behind the sink's back.
    fn damage_staged(&self) {
        fs::write(self.directory.path().join("sink").join(&self.listed("")[0]), b"Content").expect("writes");
    }

    fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("sink").join(path)).expect("is there")
    }
}

#[test]
fn stage_is_unseen_under_its_name_until_it_is_published() {
    each(|case, publish| {
        let directory = case.open("a/b");
        let mut output = case.stage(&directory, "name", b"content", publish);
        assert!(case.listed("a/b").iter().all(|name| name.starts_with(".pravah-JOB-1-3-")));
        case.sink.make_durable(std::slice::from_ref(&output)).expect("is durable");
        output.publish(publish).expect("publishes");
        assert_eq!(case.listed("a/b"), ["name"]);
        assert_eq!(case.content("a/b/name"), b"content");
    });
}

#[test]
fn publish_create_over_a_file_is_output_exists_and_leaves_both() {
    each(|case, _| {
        let directory = case.open("");
        fs::write(case.directory.path().join("sink/name"), b"a stranger's").expect("writes");
        let mut output = case.stage(&directory, "name", b"content", Publish::Create);
        assert_eq!(output.publish(Publish::Create).expect_err("is taken").kind(), "output_exists");
        assert_eq!(case.content("name"), b"a stranger's");
        output.publish(Publish::Replace).expect("may be decided anew");
        assert_eq!(case.content("name"), b"content");
        assert_eq!(case.listed(""), ["name"]);
    });
}

#[test]
fn publish_replace_leaves_the_new_file_whole() {
    each(|case, _| {
        let directory = case.open("");
        case.publish(&directory, "name", b"old and longer", Publish::Create);
        case.publish(&directory, "name", b"new", Publish::Replace);
        assert_eq!(case.content("name"), b"new");
        assert_eq!(case.listed(""), ["name"]);
    });
}

#[test]
fn discard_or_drop_before_publishing_leaves_nothing() {
    each(|case, publish| {
        let directory = case.open("");
        case.stage(&directory, "name", b"content", publish).discard();
        drop(case.stage(&directory, "name", b"content", publish));
        let temporary = Temporary { task: Temporary::task_prefix("JOB", 1), counter: 3, number: 0 };
        let mut staging = begin(&directory, &temporary, publish);
        staging.write(b"half").expect("writes");
        drop(staging);
        assert!(case.listed("").is_empty());
    });
}

#[test]
fn adopt_knows_its_own_file_and_no_other() {
    each(|case, publish| {
        let directory = case.open("");
        let output = case.stage(&directory, "name", b"content", publish);
        assert!(!directory.adopt(b"name", &output.staged).expect("looks"), "nothing is there yet");
        drop(output);
        let output = case.publish(&directory, "name", b"content", publish);
        assert!(directory.adopt(b"name", &output.staged).expect("looks"));
        fs::remove_file(case.directory.path().join("sink/name")).expect("removes");
        fs::write(case.directory.path().join("sink/name"), b"content").expect("writes");
        assert!(!directory.adopt(b"name", &output.staged).expect("looks"), "equal bytes are not enough");
    });
}

#[test]
fn sweep_removes_temporaries_of_earlier_attempts_of_its_task_only() {
    each(|case, _| {
        let directory = case.open("");
        let names = [".pravah-JOB-1-2-0", ".pravah-JOB-1-3-9", ".pravah-JOB-1-10-0", ".pravah-JOB-12-1-0", "name"];
        for name in names {
            fs::write(case.directory.path().join("sink").join(name), b"").expect("writes");
        }
        let temporary = Temporary { task: Temporary::task_prefix("JOB", 1), counter: 10, number: 0 };
        assert_eq!(directory.sweep(&temporary).expect("sweeps"), 2);
        assert_eq!(case.listed(""), [".pravah-JOB-1-10-0", ".pravah-JOB-12-1-0", "name"]);
    });
}

#[test]
fn look_tells_files_directories_and_nothing_apart() {
    each(|case, publish| {
        let directory = case.open("");
        case.open("sub");
        let output = case.publish(&directory, "name", b"content", publish);
        assert_eq!(directory.look(b"name").expect("looks"), Standing::File(output.staged.identity));
        assert_eq!(directory.look(b"sub").expect("looks"), Standing::Directory);
        assert_eq!(directory.look(b"none").expect("looks"), Standing::Free);
        assert!(case.sink.find_directory(b"none/below").expect("looks").is_none());
    });
}

#[test]
fn open_directory_past_path_max_works() {
    each(|case, publish| {
        let deep = vec!["d".repeat(200); 40].join("/");
        let directory = case.open(&deep);
        case.publish(&directory, &"n".repeat(255), b"content", publish);
        let found = case.sink.find_directory(deep.as_bytes()).expect("looks").expect("is there");
        assert!(matches!(found.look("n".repeat(255).as_bytes()).expect("looks"), Standing::File(_)));
    });
}

#[test]
fn verify_content_of_an_output_that_was_damaged_is_verify_failed() {
    each_verified(|case, publish| {
        let output = case.stage(&case.open(""), "name", b"content", publish);
        case.sink.verify(&output).expect("is what was written");
        case.damage_staged();
        let error = case.sink.verify(&output).expect_err("is damaged");
        assert_eq!(error.kind(), "verify_failed");
        assert!(error.to_string().contains("when read back"), "{error}");
    });
}

#[test]
fn share_of_an_output_that_was_damaged_is_verify_failed_and_gives_no_other_name() {
    each_verified(|case, publish| {
        let directory = case.open("");
        let mut output = case.stage(&directory, "name", b"content", publish);
        case.damage_staged();
        let error = directory.share(&mut output, (&*directory, ".pravah-JOB-0-0-shared")).expect_err("is damaged");
        assert_eq!(error.kind(), "verify_failed");
        output.discard();
        assert!(case.listed("").is_empty());
    });
}

/// Run a case for each way to publish into a sink where content is read back, with outputs under temporary names.
fn each_verified(case: impl Fn(&Case, Publish)) {
    for publish in PUBLISHES {
        let directory = tempfile::tempdir().expect("makes a directory");
        let uri = format!("file://{}/sink", directory.path().display());
        let (overwrite, durability, verify) = (Overwrite::Always, Durability::Batch, Verify::Content);
        let (path, on_collision, preserve) = (None, OnCollision::Fail, Vec::new());
        let plan = SinkPlan { uri, only: None, path, on_collision, overwrite, durability, verify, preserve, s3: None };
        let sink = open_sink(&plan, Temporaries::Named).expect("opens");
        case(&Case { directory, sink }, publish);
    }
}
