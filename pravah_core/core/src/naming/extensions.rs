//! Where a file's name ends and its extensions begin.

/// Extensions of codecs: what stands before one of them is looked at, too.
const CODECS: [&[u8]; 9] = [b".gz", b".gzip", b".zst", b".zstd", b".lz4", b".xz", b".bz2", b".br", b".sz"];

/// Longest extension: longer ones are words of a name.
const EXTENSION_BYTES: usize = 16;

/// Split a name into its stem and its extensions: those of codecs, and one of a format.
///
/// `a.csv.gz` is `a` and `.csv.gz`, `report.2024.csv` is `report.2024` and `.csv`; `.bashrc`, `README` and `v1.2` have
/// none, as an extension has a letter and something before it.
pub fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let mut stem = name;
    while let Some((rest, extension)) = last(stem) {
        stem = rest;
        if !CODECS.contains(&extension.to_ascii_lowercase().as_slice()) {
            break;
        }
    }
    name.split_at(stem.len())
}

/// A name without the extensions of codecs.
pub fn without_codecs(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let Some((stem, extension)) = last(rest)
        && CODECS.contains(&extension.to_ascii_lowercase().as_slice())
    {
        rest = stem;
    }
    rest
}

fn last(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
    let (stem, extension) = name.split_at(dot);
    let letters = &extension[1..];
    let is_one = letters.len() <= EXTENSION_BYTES
        && letters.iter().all(u8::is_ascii_alphanumeric)
        && letters.iter().any(u8::is_ascii_alphabetic);
    is_one.then_some((stem, extension))
}

/// The name of an output that keeps its source's extension: what it ends with still tells what is in it.
///
/// `a.png` that becomes `a.webp` is `a.png.webp`; `a.gz` that becomes `a` is `a.gz.out`, as `a.gz` would lie.
pub fn kept(source: &[u8], output: &[u8]) -> Vec<u8> {
    if output.starts_with(source) {
        return output.to_vec();
    }
    [source, kept_extensions(source, output)].concat()
}

/// The extensions that an output adds to its source's whole name.
pub fn kept_extensions<'o>(source: &[u8], output: &'o [u8]) -> &'o [u8] {
    match extensions(source, output) {
        b"" => b".out",
        extensions => extensions,
    }
}

/// The extensions of an output, as its steps have made them: with its source's stem they are its name.
pub fn extensions<'o>(source: &[u8], output: &'o [u8]) -> &'o [u8] {
    let (stem, _) = split(source);
    output.strip_prefix(stem).unwrap_or_else(|| split(output).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_leaves_the_stem_without_codec_and_format() {
        for (name, stem) in [
            ("a.csv.gz", "a"),
            ("a.tar.zst", "a"),
            ("report.2024.csv", "report.2024"),
            ("README", "README"),
            ("v1.2", "v1.2"),
            (".bashrc", ".bashrc"),
            (".gz", ".gz"),
            ("clip.mp4", "clip"),
            ("a.GZ", "a"),
            ("x.gz.zst", "x"),
            ("a b.c d", "a b.c d"),
        ] {
            assert_eq!(split(name.as_bytes()).0, stem.as_bytes(), "{name}");
        }
    }

    #[test]
    fn kept_says_what_is_in_the_output() {
        for (source, output, name) in [
            ("a.png", "a.webp", "a.png.webp"),
            ("a.gz", "a", "a.gz.out"),
            ("a.csv.gz", "a.csv", "a.csv.gz.csv"),
            ("a.tgz", "a.tar", "a.tgz.tar"),
            ("a.csv", "a.csv.zst", "a.csv.zst"),
        ] {
            assert_eq!(kept(source.as_bytes(), output.as_bytes()), name.as_bytes(), "{source}");
        }
    }
}
