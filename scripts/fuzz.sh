#!/usr/bin/env bash
# Fuzzes what reads bytes of strangers, by cargo-fuzz on the stable compiler, without sanitizers.
#
#   scripts/fuzz.sh TARGET|all SECONDS      each target for so many seconds; stops at the first finding
#
# A finding is kept in pravah_core/fuzz/artifacts, and run again by naming its file behind the target.
set -euo pipefail
cd "$(dirname "$0")/../pravah_core"

cargo fuzz --version >/dev/null 2>&1 || {
    echo 'error: cargo-fuzz was not found' >&2
    echo 'hint: install it: cargo install cargo-fuzz' >&2
    exit 1
}

targets() { sed -n 's/.*Target { name: "\([a-z]*\)".*/\1/p' core/tests/processors/fuzz_targets.rs; }

[ "$1" = all ] && chosen="$(targets)" || chosen="$1"
export CARGO_INCREMENTAL=0
PRAVAH_FUZZ_SEEDS="$PWD/fuzz/corpus" cargo test --locked --package pravah_core --test processors seeds_are_written
for target in $chosen; do
    printf -- '-- %s, %d s\n' "$target" "$2"
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    # Memory is that of one file in work; a second is an age for some kilobytes.
    PRAVAH_FUZZ_TARGET="$target" cargo fuzz run --sanitizer none target "fuzz/corpus/$target" -- \
        -max_total_time="$2" -rss_limit_mb=1500 -malloc_limit_mb=600 -timeout=20 -max_len=65536 \
        -artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1
done
