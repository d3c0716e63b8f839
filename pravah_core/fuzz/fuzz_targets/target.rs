//! Runs the target that `PRAVAH_FUZZ_TARGET` names over what libFuzzer finds.

#![no_main]

use std::{panic, sync::OnceLock};

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/processors/fuzz_targets.rs"]
mod fuzz_targets;

use fuzz_targets::{TARGETS, Target};

/// Find the target; a panic that its code contains is no finding.
fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        panic::set_hook(Box::new(|info| eprintln!("{info}")));
        let name = std::env::var("PRAVAH_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("PRAVAH_FUZZ_TARGET is `{name}`, which is no target"))
    })
}

fuzz_target!(|bytes: &[u8]| (target().run)(bytes));
