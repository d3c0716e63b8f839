//! An entry as a record of a scratch file, while all entries of a job are put in order.

use super::{Naming, check::head};
use crate::{
    Error, Result,
    entry::{Entry, Kind, Problem},
};

/// Write an entry out.
pub(super) fn encode_entry(entry: &Entry) -> Vec<u8> {
    let mut bytes = entry.root.to_be_bytes().to_vec();
    bytes.push(entry.kind as u8);
    bytes.extend(entry.size_bytes.to_be_bytes());
    bytes.extend(entry.modified_ns.to_be_bytes());
    bytes.extend([u8::from(entry.naming.keeps_extension), u8::from(entry.naming.ordinal.is_some())]);
    bytes.extend(entry.naming.ordinal.unwrap_or_default().to_be_bytes());
    let (kind, message) = entry.problem.as_ref().map_or(("", ""), |problem| (&problem.kind, &problem.message));
    for part in [entry.directory.as_slice(), &entry.name, kind.as_bytes(), message.as_bytes()] {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Read an entry that [`encode_entry`] wrote.
pub(super) fn decode_entry(bytes: &[u8]) -> Result<Entry> {
    let mut left = bytes;
    let root = u16::from_be_bytes(head(&mut left)?);
    let kind = Kind::try_from(u8::from_be_bytes(head(&mut left)?))?;
    let (size_bytes, modified_ns) = (u64::from_be_bytes(head(&mut left)?), i64::from_be_bytes(head(&mut left)?));
    let [keeps_extension, has_ordinal] = head(&mut left)?;
    let ordinal = u64::from_be_bytes(head(&mut left)?);
    let naming = Naming { keeps_extension: keeps_extension == 1, ordinal: (has_ordinal == 1).then_some(ordinal) };
    let (directory, name) = (part(&mut left)?, part(&mut left)?);
    let [problem_kind, message] =
        [part(&mut left)?, part(&mut left)?].map(|text| String::from_utf8_lossy(&text).into_owned());
    let problem = (!problem_kind.is_empty()).then_some(Problem { kind: problem_kind, message });
    Ok(Entry { root, directory, name, kind, size_bytes, modified_ns, problem, naming })
}

fn part(left: &mut &[u8]) -> Result<Vec<u8>> {
    let length = usize::try_from(u64::from_be_bytes(head(left)?)).unwrap_or(usize::MAX);
    let short = || Error::DamagedBlob { what: "scratch file", message: "a record ends too early".into() };
    let (part, rest) = left.split_at_checked(length).ok_or_else(short)?;
    *left = rest;
    Ok(part.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_entry_gives_what_was_encoded() {
        for problem in [None, Some(Problem { kind: "io_error".into(), message: "can't".into() })] {
            let entry = Entry {
                root: 3,
                directory: b"a/\xff".to_vec(),
                name: b"n\n".to_vec(),
                kind: Kind::Fifo,
                size_bytes: u64::MAX,
                modified_ns: -7,
                problem,
                naming: Naming { keeps_extension: true, ordinal: Some(9) },
            };
            assert_eq!(decode_entry(&encode_entry(&entry)).expect("reads"), entry);
            assert!(decode_entry(&encode_entry(&entry)[..20]).is_err());
        }
    }
}
