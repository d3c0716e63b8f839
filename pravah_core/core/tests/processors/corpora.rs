//! Public files of other hands, read from `$PRAVAH_CORPORA` or `../shared/corpora` beside the project.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::run::{Batching, pipeline, run, verdict};

fn corpus(folder: &str, wanted: &str) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let folder = env::var_os("PRAVAH_CORPORA").map_or(beside, PathBuf::from).join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    };
    let paths = entries.map(|entry| entry.expect("listed").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == wanted));
    Some(files.map(|path| (path.clone(), fs::read(path).expect("read"))).collect())
}

#[test]
fn test_golden_frames_are_decoded_in_whatever_pieces() {
    let decompress = pipeline("decompress", json!({}));
    for (path, file) in corpus("zstd/tests/golden-decompression", "zst").unwrap_or_default() {
        let whole = run(&decompress, &file, &Batching::Whole).unwrap_or_else(|failure| panic!("{path:?}: {failure:?}"));
        for sizes in [vec![1], vec![4_099]] {
            assert_eq!(verdict(&decompress, &file, &Batching::Pieces(sizes)).as_ref(), Ok(&whole), "{path:?}");
        }
    }
}

#[test]
fn test_golden_errors_are_typed_in_whatever_pieces() {
    let decompress = pipeline("decompress", json!({}));
    for (path, file) in corpus("zstd/tests/golden-decompression-errors", "zst").unwrap_or_default() {
        for batching in [Batching::Whole, Batching::OnePiece, Batching::Pieces(vec![1])] {
            let kind = verdict(&decompress, &file, &batching).expect_err("damaged");
            assert!(["corrupt_input", "truncated_input"].contains(&kind.as_str()), "{path:?}: {kind}");
        }
    }
}

/// What may become of a file that a stranger wrote: never a panic, which is `processor_panicked`.
const TABLE_KINDS: [&str; 4] = ["corrupt_input", "truncated_input", "unsupported_input", "no_columns"];

/// Its strings have more than 2 GiB in one batch, which is seen only once they are there: once is enough.
const LARGE: &str = "large_string_map.brotli.parquet";

#[test]
fn test_parquet_files_convert_or_are_typed_errors() {
    for folder in ["parquet/data", "parquet/bad_data"] {
        for (path, file) in corpus(folder, "parquet").unwrap_or_default() {
            if path.ends_with(LARGE) {
                continue;
            }
            for format in ["csv", "ndjson", "parquet", "arrow"] {
                let convert = pipeline("convert", json!({"from": "parquet", "format": format}));
                let whole = verdict(&convert, &file, &Batching::Whole);
                assert_eq!(verdict(&convert, &file, &Batching::Pieces(vec![4_099])), whole, "{path:?} to {format}");
                if let Err(kind) = whole {
                    assert!(TABLE_KINDS.contains(&kind.as_str()), "{path:?} to {format}: {kind}");
                }
            }
        }
    }
}

#[test]
fn test_batch_beyond_32_bits_is_refused_as_unsupported() {
    for (_, file) in
        corpus("parquet/data", "parquet").unwrap_or_default().iter().filter(|(path, _)| path.ends_with(LARGE))
    {
        let convert = pipeline("convert", json!({"from": "parquet", "format": "arrow"}));
        assert_eq!(verdict(&convert, file, &Batching::Whole), Err("unsupported_input".to_owned()));
    }
}
