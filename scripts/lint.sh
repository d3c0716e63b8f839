#!/usr/bin/env bash
# Runs every check, also after one has failed, and ends with the list of those that did.
# Expects a complete .venv (`make setup`).
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" PRAVAH_DEV=1
failed=()

check() { # check NAME COMMAND...
    local name="$1"
    shift
    printf -- '-- %s\n' "$name"
    "$@" || failed+=("$name")
}

in_core() { (cd pravah_core && "$@"); }

# The engine crate stays usable, and testable, without Python.
core_without_pyo3() {
    local tree
    tree="$(in_core cargo tree --locked --package pravah_core --edges all --prefix none)" || return
    if grep '^pyo3' <<<"$tree"; then
        echo 'error: pravah_core depends on pyo3' >&2
        return 1
    fi
}

check 'ruff' ruff check .
check 'ruff format' ruff format --check .
check 'types' mypy
check 'layers' lint-imports
check 'rustfmt' in_core cargo fmt --all --check
check 'clippy' in_core cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
check 'core without pyo3' core_without_pyo3
check 'licences' python scripts/licences.py
check 'registry list' python -m pravah.registry --check
check 'status diagram' python scripts/diagram.py

if [ "${#failed[@]}" -gt 0 ]; then
    printf 'lint failed: %s\n' "${failed[*]/%/,}" | sed 's/,$//'
    exit 1
fi
echo 'lint passed'
