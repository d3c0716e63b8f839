//! Counts the files below a directory with one of the libraries that Pravah is measured
//! against: `peers jwalk|ignore|walkdir DIRECTORY THREADS`.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [library, directory, threads] = arguments.as_slice() else {
        eprintln!("usage: peers jwalk|ignore|walkdir DIRECTORY THREADS");
        return ExitCode::from(2);
    };
    let Ok(threads) = threads.parse() else {
        eprintln!("error: `{threads}` is not a number of threads");
        return ExitCode::from(2);
    };
    let files = match library.as_str() {
        "jwalk" => with_jwalk(directory, threads),
        "ignore" => with_ignore(directory, threads),
        "walkdir" => with_walkdir(directory),
        _ => {
            eprintln!("error: unknown library `{library}`");
            return ExitCode::from(2);
        }
    };
    println!("{files}");
    ExitCode::SUCCESS
}

fn with_jwalk(directory: &str, threads: usize) -> usize {
    jwalk::WalkDir::new(directory)
        .skip_hidden(false)
        .parallelism(jwalk::Parallelism::RayonNewPool(threads))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_dir())
        .count()
}

fn with_ignore(directory: &str, threads: usize) -> usize {
    let files = AtomicUsize::new(0);
    ignore::WalkBuilder::new(directory)
        .standard_filters(false)
        .threads(threads)
        .build_parallel()
        .run(|| {
            Box::new(|entry| {
                let is_file = entry.is_ok_and(|it| it.file_type().is_some_and(|kind| !kind.is_dir()));
                files.fetch_add(usize::from(is_file), Ordering::Relaxed);
                ignore::WalkState::Continue
            })
        });
    files.into_inner()
}

fn with_walkdir(directory: &str) -> usize {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_dir())
        .count()
}
