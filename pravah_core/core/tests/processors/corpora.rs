//! Public files of other hands, read from `$PRAVAH_CORPORA` or `../shared/corpora` beside the project.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::run::{Batching, pipeline, run, verdict};

fn corpus(folder: &str) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let folder = env::var_os("PRAVAH_CORPORA").map_or(beside, PathBuf::from).join(folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    };
    let paths = entries.map(|entry| entry.expect("listed").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "zst"));
    Some(files.map(|path| (path.clone(), fs::read(path).expect("read"))).collect())
}

#[test]
fn test_golden_frames_are_decoded_in_whatever_pieces() {
    let decompress = pipeline("decompress", json!({}));
    for (path, file) in corpus("zstd/tests/golden-decompression").unwrap_or_default() {
        let whole = run(&decompress, &file, &Batching::Whole).unwrap_or_else(|failure| panic!("{path:?}: {failure:?}"));
        for sizes in [vec![1], vec![4_099]] {
            assert_eq!(verdict(&decompress, &file, &Batching::Pieces(sizes)).as_ref(), Ok(&whole), "{path:?}");
        }
    }
}

#[test]
fn test_golden_errors_are_typed_in_whatever_pieces() {
    let decompress = pipeline("decompress", json!({}));
    for (path, file) in corpus("zstd/tests/golden-decompression-errors").unwrap_or_default() {
        for batching in [Batching::Whole, Batching::OnePiece, Batching::Pieces(vec![1])] {
            let kind = verdict(&decompress, &file, &batching).expect_err("damaged");
            assert!(["corrupt_input", "truncated_input"].contains(&kind.as_str()), "{path:?}: {kind}");
        }
    }
}
