#!/usr/bin/env bash
# Makes .venv complete: the locked dependencies, and an editable pravah with its Rust core.
# Asks nothing and needs no root; says what is missing on the machine, and the next step.
#
#   scripts/setup.sh [dev|release]      the Cargo profile of the core
#
# Each stage is skipped while its inputs are unchanged, so that every `make` verb may call it.
set -euo pipefail
cd "$(dirname "$0")/.."

profile="${1:-dev}"
pdm_version=2.29.3 # 2.29.4's locked set was not installable everywhere when this was written
pdm_home=.cache/pdm
pdm="$pdm_home/bin/pdm"
core=src/pravah/_core.abi3.so
export PDM_CHECK_UPDATE=false PDM_NON_INTERACTIVE=1

say() { printf '%s\n' "setup: $*" >&2; }

missing() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

require_cargo() {
    # rustup's installer edits the shell's profile, which this shell may not have read yet.
    command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    command -v cargo >/dev/null || missing "cargo was not found" \
        "install Rust from https://rustup.rs, then run this again"
    local needed found
    needed="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' pravah_core/Cargo.toml)"
    found="$(rustc --version | cut -d' ' -f2)"
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n1)" = "$needed" ] || missing \
        "Rust is $found, Pravah needs $needed or newer" "run \`rustup update stable\`, then this again"
}

require_tools() {
    python="$(find_python)" || missing "Python 3.11 or newer was not found" \
        "install it (Debian and Ubuntu: apt install python3 python3-venv), or set PYTHON=/path/to/python3"
    command -v "${CC:-cc}" >/dev/null || missing "no C compiler: \`${CC:-cc}\` was not found" \
        "install one (Debian and Ubuntu: apt install build-essential), or set CC"
    require_cargo
}

install_pdm() {
    [ "$("$pdm" --version 2>/dev/null)" = "PDM, version $pdm_version" ] && return
    say "installing PDM $pdm_version into $pdm_home"
    rm -rf "$pdm_home"
    "$python" -m venv "$pdm_home" || missing "$python cannot make a virtual environment" \
        "install its venv module (Debian and Ubuntu: apt install python3-venv)"
    "$pdm_home/bin/python" -m pip install --quiet --disable-pip-version-check "pdm[locked]==$pdm_version"
}

install_dependencies() {
    .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear --without-pip .venv
    [ .venv/dependencies.stamp -nt pdm.lock ] && [ .venv/dependencies.stamp -nt pyproject.toml ] && return
    say "installing the locked Python dependencies into .venv"
    "$pdm" install --quiet --no-self --group :all --frozen-lockfile
    # As installers do: a start takes seconds where nobody may write bytecode later.
    .venv/bin/python -m compileall -q -j0 .venv/lib >/dev/null || true # some packages carry sources for other Pythons
    rm -f "$core" # so that it is built, and with it what `pip` knows of the project
    touch .venv/dependencies.stamp
}

compile_sources() { .venv/bin/python -m compileall -q src >/dev/null; }

core_is_current() {
    [ -e "$core" ] && [ "$(cat .venv/core.profile 2>/dev/null)" = "$profile" ] &&
        [ -z "$(find pravah_core -path pravah_core/target -prune -o -type f -newer "$core" -print -quit)" ]
}

build_core() {
    core_is_current && return
    say "building the Rust core ($profile profile; minutes the first time)"
    local features="" # steps that do harm, for tests only
    [ "$profile" = release ] || features="--features test-steps"
    MATURIN_PEP517_ARGS="--profile $profile $features" "$pdm" install --quiet --no-isolation --frozen-lockfile
    echo "$profile" >.venv/core.profile
    touch "$core" # cargo leaves an unchanged library's time alone
}

mkdir -p .cache
if command -v flock >/dev/null; then # two of these at once would tread on each other's .venv
    exec 9>.cache/setup.lock
    flock 9
fi
require_tools
install_pdm
install_dependencies
compile_sources
build_core
