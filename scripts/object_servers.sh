#!/usr/bin/env bash
# Builds the object stores that the tests run against into .cache/servers: MinIO and versitygw.
# Both are pinned Go modules; of MinIO neither binaries nor images are published any more.
# Asks nothing and needs no root. Each is built once, in minutes; other checkouts of this machine
# find what was compiled in Go's own cache.
#
# Without Go it says so and goes on, as every other test runs without them: those of object stores
# skip with that reason. Where CI is set they have to be there, and it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

# The last commit of the archived project; deploy/minio/Dockerfile has the same one.
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
servers=.cache/servers

say() { printf '%s\n' "servers: $*" >&2; }

give_up() {
    local weight=warning
    [ -z "${CI:-}" ] || weight=error
    printf '%s: %s\nhint: %s\n' "$weight" "$1" "$2" >&2
    [ "$weight" = warning ]
    exit
}

is_built() { [ -x "$servers/$1" ] && [ "$(cat "$servers/$1.module" 2>/dev/null)" = "$2" ]; }

build() { # build NAME MODULE
    is_built "$1" "$2" && return
    say "building ${2##*/} (minutes the first time)"
    # The name appears when it is whole, so that a killed build is no server.
    CGO_ENABLED=0 GOBIN="$PWD/$servers/new" go install -trimpath -ldflags '-s -w' "$2" || return
    mv "$servers/new/$1" "$servers/$1"
    printf '%s\n' "$2" >"$servers/$1.module"
}

mkdir -p "$servers"
if command -v flock >/dev/null; then
    exec 9>"$servers/lock"
    flock 9
fi
is_built minio "$minio" && is_built versitygw "$versitygw" && exit
command -v go >/dev/null || give_up \
    "go was not found: tests of object stores will not run" \
    "install Go 1.25 or newer (https://go.dev/dl), or name a server by PRAVAH_TEST_S3_ENDPOINT"
build minio "$minio" && build versitygw "$versitygw" || give_up \
    "an object store could not be built: its tests will not run" \
    "Go's message above says why; both need Go 1.25 and its module proxy"
