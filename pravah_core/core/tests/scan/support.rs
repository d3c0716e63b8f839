//! Trees for the scan's tests, and a plain reading of a scan's result.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
            net::UnixListener,
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use arrow_array::{
    RecordBatch,
    cast::AsArray,
    types::{Int8Type, Int32Type},
};
use pravah_core::scan::{Batches, Format, Scanner};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

/// Everything below a root, as (path relative to it, kind's name).
pub type Tree = BTreeSet<(Vec<u8>, String)>;

/// What `walkdir`, the reference, finds below a directory.
pub fn reference(root: &Path) -> Tree {
    let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    entries
        .map(|entry| entry.expect("walks"))
        .map(|entry| {
            let path = entry.path().strip_prefix(root).expect("is below").as_os_str().as_bytes().to_vec();
            (path, kind(entry.file_type()).to_owned())
        })
        .collect()
}

/// What `walkdir` finds below a directory where it follows links; what it takes for loops is left out.
pub fn reference_followed(root: &Path) -> Tree {
    let entries = walkdir::WalkDir::new(root).min_depth(1).follow_links(true).into_iter();
    let found = entries.filter_map(|entry| match entry {
        Ok(entry) => Some((entry.path().to_owned(), kind(entry.file_type()))),
        Err(error) if error.loop_ancestor().is_some() => None,
        // A link that leads nowhere stays one.
        Err(error) => Some((error.path().expect("has a path").to_owned(), "symlink")),
    });
    found
        .map(|(path, kind)| {
            let path = path.strip_prefix(root).expect("is below").as_os_str().as_bytes().to_vec();
            (path, kind.to_owned())
        })
        .collect()
}

fn kind(file_type: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match file_type {
        t if t.is_file() => "file",
        t if t.is_dir() => "directory",
        t if t.is_symlink() => "symlink",
        t if t.is_fifo() => "fifo",
        t if t.is_socket() => "socket",
        _ => "device",
    }
}

/// What the scanner finds below a directory; fails where it finds anything twice.
pub fn scanned(root: &Path, scanner: Scanner) -> Tree {
    tree(root, scanner.batches().expect("starts"))
}

/// Gather batches into a tree.
pub fn tree(root: &Path, batches: Batches) -> Tree {
    let mut tree = Tree::new();
    for batch in batches {
        for (path, kind) in rows(&batch.expect("scans")) {
            let relative = Path::new(OsStr::from_bytes(&path)).strip_prefix(root).expect("is below").to_owned();
            let fresh = tree.insert((relative.as_os_str().as_bytes().to_vec(), kind));
            assert!(fresh, "{} was listed twice", relative.display());
        }
    }
    tree
}

/// The rows of a batch, as (path, kind's name).
pub fn rows(batch: &RecordBatch) -> Vec<(Vec<u8>, String)> {
    let directories = batch.column(0).as_dictionary::<Int32Type>();
    let names = batch.column(1).as_binary::<i32>();
    let kinds = batch.column(2).as_dictionary::<Int8Type>();
    (0..batch.num_rows())
        .map(|row| {
            let directory = directories.values().as_binary::<i32>().value(directories.key(row).expect("has a key"));
            let kind = kinds.values().as_string::<i32>().value(kinds.key(row).expect("has a key"));
            ([directory, names.value(row)].join(&b'/'), kind.to_owned())
        })
        .collect()
}

/// A scanner of one root.
pub fn scanner(root: &Path) -> Scanner {
    Scanner::new([root.as_os_str().as_bytes().to_vec()])
}

/// Write a file and the directories above it.
pub fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("has a parent")).expect("creates");
    fs::write(path, content).expect("writes");
}

/// One of each kind that an ordinary user can make, loops of links among them.
pub fn make_special(root: &Path) {
    fs::create_dir_all(root.join("special")).expect("creates");
    symlink(".", root.join("special/self")).expect("links");
    symlink("..", root.join("special/up")).expect("links");
    symlink("loop", root.join("special/loop")).expect("links");
    symlink("nowhere", root.join("special/dangling")).expect("links");
    symlink("/dev/zero", root.join("special/zero")).expect("links");
    rustix::fs::mknodat(CWD, root.join("special/pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).expect("makes");
    UnixListener::bind(root.join("special/socket")).expect("binds");
}

/// A temporary directory that is too deep for the recursion of the standard library to remove.
pub struct DeepDirectory(PathBuf);

impl DeepDirectory {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm"); // 60,000 directories cost a disk's journal half a minute
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(tempfile::tempdir_in(place).expect("creates").keep())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DeepDirectory {
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

/// Nest `depth` directories called `name`, with a file and an empty directory at each `every`-th level.
pub fn nest(root: &Path, name: &str, depth: usize, every: usize) {
    let open = |parent: &OwnedFd| openat(parent, name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty());
    let mut current = OwnedFd::from(File::open(root).expect("opens"));
    for level in 1..=depth {
        mkdirat(&current, name, Mode::RWXU).expect("creates");
        current = open(&current).expect("opens");
        if level % every == 0 {
            let flags = OFlags::CREATE | OFlags::WRONLY;
            drop(openat(&current, "file", flags, Mode::RUSR | Mode::WUSR).expect("creates"));
            mkdirat(&current, "empty", Mode::RWXU).expect("creates");
        }
    }
}

/// Run one test of this binary in a process of its own, where it sees [`in_child`]; fails with its output.
pub fn run_in_child(test: &str, prepare: impl FnOnce(&mut Command)) {
    let place = tempfile::tempdir().expect("creates");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("opens up");
    let copy = place.path().join("test"); // another user may not reach the original
    fs::copy(std::env::current_exe().expect("is known"), &copy).expect("copies");
    let scratch = place.path().join("scratch"); // nor write where this one does
    fs::create_dir(&scratch).expect("creates");
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).expect("opens up");
    let mut command = Command::new(copy);
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").env("TMPDIR", scratch).current_dir("/");
    prepare(&mut command);
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Whether this process was started by [`run_in_child`].
pub fn in_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Run a test as a user for whom modes mean something: as this one, or as nobody where this one is root.
pub fn run_unprivileged(test: &str, body: impl FnOnce()) {
    if in_child() || !rustix::process::geteuid().is_root() {
        return body();
    }
    run_in_child(test, |command| {
        command.uid(NOBODY).gid(NOBODY);
    });
}

const CHILD: &str = "PRAVAH_TEST_CHILD";
const NOBODY: u32 = 65_534;

/// What a scanner writes to a file.
pub fn written(scanner: &Scanner, format: Format) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("creates");
    scanner.write(file.as_fd(), format).expect("writes");
    std::io::Seek::rewind(&mut file).expect("rewinds");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut text).expect("reads");
    text
}
