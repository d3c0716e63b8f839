//! Times the scanner against a limit: a minimal program that does only the unavoidable system calls.
//!
//! ```console
//! $ cargo run --release --example scan_bench -- MODE DIRECTORY [THREADS [REPEATS]]
//! ```
//!
//! Modes: `limit` (getdents64, names counted), `limit-statx` (and a `statx` of every file), `names` and `sizes`
//! (the scanner into Arrow batches), `count`, `paths` (to stdout), `tasks` (a job's manifests; threads as they are by default). Prints JSON, one line a run, on stderr.

#[cfg(target_os = "linux")]
mod limit;

use std::{error::Error, io, os::unix::ffi::OsStringExt, time::Instant};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use pravah_core::{
    engine::{
        Control, Verdict,
        scan_task::{run_scan, unit::Unit},
    },
    plan::Plan,
    scan::{Detail, Format, Scanner},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next().ok_or("no mode")?.into_string().map_err(|_| "a mode is text")?;
    let root = arguments.next().ok_or("no directory")?;
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.to_string_lossy().parse::<usize>());
    let (threads, repeats) = (number(4)?, number(1)?);
    for _ in 0..repeats {
        let scanner = Scanner::new([root.clone().into_vec()]).threads(threads);
        let begun = Instant::now();
        let entries = run(&mode, scanner, &root, threads)?;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!(r#"{{"mode":"{mode}","threads":{threads},"entries":{entries},"seconds":{seconds:.4}}}"#);
    }
    Ok(())
}

fn run(mode: &str, scanner: Scanner, root: &std::ffi::OsStr, threads: usize) -> Result<u64, Box<dyn Error>> {
    Ok(match mode {
        #[cfg(target_os = "linux")]
        "limit" => limit::count(root, threads, limit::Look::Names),
        #[cfg(target_os = "linux")]
        "limit-statx" => limit::count(root, threads, limit::Look::Sizes),
        "names" => rows(scanner)?,
        "sizes" => rows(scanner.detail(Detail::Sizes))?,
        "tasks" => tasks(root)?,
        "count" => scanner.count()?.files,
        "paths" => scanner.write(io::stdout(), Format::Paths { terminator: b'\n' })?.files,
        _ => return Err(format!("unknown mode `{mode}`").into()),
    })
}

/// Collect all batches, as a caller would who wants the whole listing.
fn rows(scanner: Scanner) -> Result<u64, Box<dyn Error>> {
    let batches = scanner.batches()?.collect::<Result<Vec<_>, _>>()?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// Cut the manifests of a job over the directory.
fn tasks(root: &std::ffi::OsStr) -> Result<u64, Box<dyn Error>> {
    let root = std::path::absolute(root)?.into_os_string().into_vec();
    let uri = format!("file://{}", percent_encode(&root, NON_ALPHANUMERIC));
    let plan = serde_json::json!({"job": "01BENCH", "roots": [{"uri": uri}], "steps": [], "pipeline_hash": ""});
    let plan = Plan::parse(&plan.to_string())?;
    let (mut entries, mut units) = (0, vec![Unit::Roots]);
    while let Some(unit) = units.pop() {
        let mut away = Vec::new();
        run_scan(&plan, &unit, &[], &Control::default(), &mut |emission| {
            entries += emission.tasks.iter().map(|task| task.entries).sum::<u64>();
            away.extend(emission.units);
            Verdict::Committed
        })?;
        for unit in away {
            units.push(Unit::decode(Some(&unit))?);
        }
    }
    Ok(entries)
}
