//! What is asked of object stores outside of a job: what a URI names, whether a file can go there, how a store is.

use std::{fs::File, io::Write, os::unix::fs::FileExt};

use bytes::Bytes;
use rustix::io::Errno;

use super::{
    abilities::{Fencing, find_fencing},
    looks::Asks,
    objects::{Depth, MTIME, OWNER, Only, Seen, Start, file_time},
    options::{ObjectOptions, Rules},
    place::Place,
    publish::is_of_job,
    reading::{Object, first_range},
    refusal::Refusal,
    runtime::wait,
    uploads::{PART_BYTES, Upload},
};
use crate::{Error, Result, stores::Reading};

/// What a URI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// An object.
    Object,
    /// A prefix of some.
    Prefix,
    /// Nothing that is there.
    Nothing,
}

/// Look at what a URI names; fails where its bucket can't be listed.
pub fn look(uri: &str) -> Result<Named> {
    let place = Place::of(uri)?;
    if !uri.ends_with('/') && !place.prefix.is_empty() {
        let seen = wait(place.head(&place.prefix));
        match seen {
            Ok(Some(_)) => return Ok(Named::Object),
            // Without the right to list, a server refuses to say that there is nothing: the listing tells.
            Ok(None) | Err(Refusal { status: Some(_), .. }) => {}
            Err(refusal) => return Err(refusal.error(&format!("reach {}", place.shown("")))),
        }
    }
    let page = wait(place.page(&place.key_prefix(), Depth::AllLevels, Start::Beginning, 1));
    let page = page.map_err(|refusal| refusal.error(&format!("list {}", place.shown(""))))?;
    Ok(if page.objects.is_empty() { Named::Nothing } else { Named::Prefix })
}

/// Write an object to a file, from where that stands; `not_found` if there is none.
pub fn get_file(uri: &str, mut file: &File) -> Result<()> {
    let place = Place::of(uri)?;
    let (key, shown) = (place.prefix.clone(), place.shown_key(&place.prefix));
    let first = wait(first_range(place.clone(), key.clone(), 0, Asks::Headers)).map_err(|refusal| {
        if refusal.is_missing() {
            return Error::system("open the object")(Errno::NOENT);
        }
        refusal.error(&format!("read {shown}"))
    })?;
    let (mut object, mut buffer) = (Object::new(place, key, shown, first), vec![0; PIECE_BYTES]);
    loop {
        match object.read(&mut buffer)? {
            0 => return Ok(()),
            length => file.write_all(&buffer[..length]).map_err(Error::io("keep a copy of the object"))?,
        }
    }
}

/// Put a file at a URI: in place of what this owner has put there, or where nothing is.
///
/// `owner` is the job's, as in [`crate::stores::Temporary`]; what any other has put there stays. `options` are those
/// of the job's sink.
pub fn put_file(uri: &str, file: &File, owner: &str, options: ObjectOptions) -> Result<()> {
    let place = Place::of(uri)?;
    let key = place.prefix.clone();
    let asked = format!("put {}", place.shown_key(&key));
    let failed = |refusal: Refusal| refusal.error(&asked);
    let metadata = file.metadata().map_err(Error::io("look at the output"))?;
    let modified_ns = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified_ns = modified_ns.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or_default();
    let mut headers = Rules::of_options(options).headers(&key, None);
    headers.extend([(OWNER.to_owned(), owner.to_owned()), (MTIME.to_owned(), file_time(modified_ns))]);
    let only = match wait(place.head(&key)).map_err(failed)? {
        Some(seen) if !is_of_job(&seen.owner, owner) => {
            return Err(Error::OutputExists(format!("another object has the key {}", place.shown_key(&key))));
        }
        // Where it can't be found out, the write is conditional: as with outputs.
        _ if wait(find_fencing(&place)).is_ok_and(|found| found == Fencing::Weak) => Only::Until(None),
        None => Only::IfFree,
        Some(seen) => Only::InPlaceOf(seen.etag),
    };
    let put = if metadata.len() <= PART_BYTES as u64 {
        let body = read(file, 0, metadata.len())?;
        wait(place.put(&key, body, headers, &only)).map(drop)
    } else {
        let mut upload = Upload::begin(&place, &key, headers).map_err(failed)?;
        let mut at = 0;
        while at < metadata.len() {
            let part = read(file, at, (metadata.len() - at).min(upload.part_bytes() as u64))?;
            at += part.len() as u64;
            upload.send(part).map_err(failed)?;
        }
        upload.settle().map_err(failed)?;
        wait(upload.complete(&only))
    };
    match put {
        // Perhaps by a request whose answer was lost: then it is there, and ours.
        Err(refusal) if refusal.is_precondition() || refusal.code == "NoSuchUpload" => {
            let is_put = |seen: &Seen| is_of_job(&seen.owner, owner) && seen.size_bytes == metadata.len();
            match wait(place.head(&key)).map_err(failed)?.is_some_and(|seen| is_put(&seen)) {
                true => Ok(()),
                false => Err(failed(refusal)),
            }
        }
        put => put.map_err(failed),
    }
}

fn read(file: &File, at: u64, length: u64) -> Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, at).map_err(Error::io("read the output"))?;
    Ok(Bytes::from(bytes))
}

/// Remove what an owner has put at a URI; tells whether it was that.
pub fn remove_file(uri: &str, owner: &str) -> Result<bool> {
    let place = Place::of(uri)?;
    let key = place.prefix.clone();
    let failed = |refusal: Refusal| refusal.error(&format!("remove {}", place.shown_key(&key)));
    match wait(place.head(&key)).map_err(failed)? {
        Some(seen) if is_of_job(&seen.owner, owner) => {
            wait(place.delete(&key)).map_err(failed)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1 << 20;
