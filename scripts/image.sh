#!/usr/bin/env bash
# Builds the image by whichever builder there is: docker, podman or buildah.
#
#   BASE=… BUILD_BASE=… make image      other bases than those of the Dockerfile
#   IMAGE=registry.example/pravah:1 make image
set -euo pipefail
cd "$(dirname "$0")/.."

image="${IMAGE:-pravah:local}"
arguments=()
for name in BASE BUILD_BASE; do
    [ -z "${!name:-}" ] || arguments+=(--build-arg "$name=${!name}")
done

if docker info >/dev/null 2>&1; then
    exec docker build --tag "$image" "${arguments[@]}" .
elif command -v podman >/dev/null; then
    exec podman build --format docker --tag "$image" "${arguments[@]}" .
elif command -v buildah >/dev/null; then
    # The format of Docker: that of OCI has no health checks.
    exec buildah build --format docker --tag "$image" "${arguments[@]}" .
fi
printf '%s\n' 'error: nothing here builds images: no running docker, no podman, no buildah' \
    'hint: install one of them (Debian and Ubuntu: apt install buildah)' >&2
exit 1
