//! Opening directories below an open directory, at any depth, without leaving it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::scan::Links;

/// Longest path given to one call: PATH_MAX is 4,096 with the final NUL.
const PIECE_BYTES: usize = 4_000;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Open the directory at an absolute path of any length. Links are followed: the path is the user's own.
pub fn open_root(path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = rustix::fs::openat(CWD, "/", DIRECTORY, Mode::empty())?;
    for piece in pieces(path) {
        at = rustix::fs::openat(&at, piece, DIRECTORY, Mode::empty())?;
    }
    Ok(at)
}

/// Open a directory below `root`; what is done with links on the way to it is the job's to say.
pub fn open_directory(links: Links, root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    match links {
        Links::Skip => open_below(root, path),
        Links::Follow => open_within(root, path),
    }
}

/// Open a directory of a sink, or of a source whose links are followed: where these lead is the user's own doing.
pub fn open_within(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    for piece in pieces(path) {
        at = rustix::fs::openat(&at, piece, DIRECTORY, Mode::empty())?;
    }
    Ok(at)
}

/// Open a directory of a source: below `root`, and through no link that came to stand there since the scan. Also of a
/// sink that links of a source are kept in.
pub fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    for piece in pieces(path) {
        at = open_piece(at.as_fd(), piece)?;
    }
    Ok(at)
}

fn open_piece(at: BorrowedFd<'_>, piece: &[u8]) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(at, piece, DIRECTORY, Mode::empty(), resolve) {
        // Before Linux 5.6, and where a sandbox refuses it: one name at a time, none of them a link.
        Err(Errno::NOSYS | Errno::PERM) => names(piece)
            .try_fold(rustix::io::fcntl_dupfd_cloexec(at, 0)?, |at, name| {
                rustix::fs::openat(&at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            }),
        answer => answer,
    }
}

/// Names of a path, in order.
pub fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// Cut a path at slashes into relative pieces that the kernel takes in one call.
fn pieces(path: &[u8]) -> Vec<&[u8]> {
    let mut rest = path.strip_prefix(b"/").unwrap_or(path);
    let mut pieces = Vec::new();
    while rest.len() > PIECE_BYTES {
        let Some(cut) = rest[..PIECE_BYTES].iter().rposition(|byte| *byte == b'/') else { break };
        pieces.push(&rest[..cut]);
        rest = &rest[cut + 1..];
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_long_path_join_to_it_and_are_short() {
        let path = [b"x".repeat(255), b"y".repeat(200)].join(b"/".as_slice());
        let long = vec![path; 30].join(b"/".as_slice());
        let pieces = pieces(&long);
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert_eq!(pieces.join(b"/".as_slice()), long);
    }
}
