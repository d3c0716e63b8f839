//! Each fuzz target over seeds of its kind and mutations of them: what `make fuzz` does for longer, with coverage.
//!
//! `PRAVAH_FUZZ` sets the number of mutations of each target (default: 60). They are the same ones at every run.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    fuzz_targets::TARGETS,
    run::{Batching, compressed, pipeline, run_named},
};
use pravah_core::pipeline::Workers;

const MUTATIONS: usize = 60;

const TABLE: &[u8] = b"id,name,price,day,at,ok\n1,\"a, \"\"b\"\"\nc\",2.5,2026-01-31,2026-01-31T23:59:59Z,true\n\
    -7,,1e3,1969-12-31,1969-12-31T00:00:00.5Z,false\n,\"\",,,,\n";

/// Inputs that a target begins with.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let converted = |format: &str| {
        let steps = pipeline("convert", json!({"format": format}));
        run_named("a.csv", Workers::NONE, &steps, TABLE, &Batching::Whole).expect("converts").bytes
    };
    match target {
        "csv" => vec![TABLE.to_vec(), b"a;b\r\n'x;\r\n\xef\xbb\xbf".to_vec()],
        "parquet" | "arrow" | "avro" | "json" | "ndjson" => [vec![converted(target)], samples(target)].concat(),
        "nested" => vec![b"{\"a\":[1,{\"b\":\"x\\n\"}],\"c\":{\"d\":null,\"e\":[[]]}}\n{\"a\":[],\"c\":{}}\n".to_vec()],
        "xlsx" => samples("xlsx"),
        "headers" => samples("").into_iter().map(|sample| [b"\0", &sample[..]].concat()).collect(),
        "types" => samples(""),
        "codecs" => {
            ["gzip", "zstd", "lz4", "xz", "bzip2", "brotli", "snappy"].map(|codec| compressed(codec, TABLE)).to_vec()
        }
        "globs" => vec![b"*.csv\n!/a/**/[b-d]?\\ \n#x\n_tmp/".to_vec()],
        "templates" => vec![b"{dir}/{stem}-{mtime:%Y/%m}.{ext}".to_vec(), b"{host}/{date}.csv{{".to_vec()],
        "predicates" => vec![b"a > 1 and (b in ('x', 'y') or not b like '%z_' or a between 1 and 2.5)".to_vec()],
        "patterns" => vec![b"(?i)^a+[b-d]{2,3}|\\d$".to_vec()],
        other => panic!("`{other}` has no seeds"),
    }
}

/// Samples of other hands whose names end like this.
fn samples(extension: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut paths: Vec<_> =
        fs::read_dir(directory).expect("is there").map(|entry| entry.expect("is read").path()).collect();
    paths.sort();
    let wanted = paths.iter().filter(|path| path.to_string_lossy().ends_with(extension));
    wanted.map(|path| fs::read(path).expect("is read")).collect()
}

/// Random numbers, the same ones at every run.
struct Chance(u64);

impl Chance {
    /// A number below a bound.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    /// Change a few places: other bits, other bytes, a part twice, a part less.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let length = self.below(16).min(bytes.len() - at.min(bytes.len()));
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][self.below(6)],
                2 => bytes[at] = self.below(256) as u8,
                3 => bytes.truncate(at),
                4 => drop(bytes.drain(at..at + length)),
                _ => {
                    let part = bytes[at..at + length].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
    }
}

#[test]
fn test_no_target_panics_on_seeds_and_mutations_of_them() {
    let mutations = std::env::var("PRAVAH_FUZZ").map_or(MUTATIONS, |number| number.parse().expect("is a number"));
    for target in TARGETS {
        let seeds = seeds(target.name);
        assert!(!seeds.is_empty(), "{}", target.name);
        seeds.iter().for_each(|seed| (target.run)(seed));
        let mut chance = Chance(7);
        for number in 0..mutations {
            let mut bytes = seeds[number % seeds.len()].clone();
            chance.mutate(&mut bytes);
            (target.run)(&bytes);
        }
    }
}

/// The corpus that `make fuzz` begins with.
#[test]
fn test_seeds_are_written_where_they_are_wanted() {
    let Some(directory) = std::env::var_os("PRAVAH_FUZZ_SEEDS") else { return };
    for target in TARGETS {
        let place = Path::new(&directory).join(target.name);
        fs::create_dir_all(&place).expect("is made");
        for (number, seed) in seeds(target.name).into_iter().enumerate() {
            fs::write(place.join(format!("seed-{number}")), seed).expect("is written");
        }
    }
}
