#!/usr/bin/env bash
# Serves MinIO with the bucket that jobs expect, or with `health` tells whether it is served.
set -euo pipefail

if [ "${1:-}" = health ]; then # the base has neither curl nor wget
    exec 3<>/dev/tcp/127.0.0.1/9000
    printf 'GET /minio/health/ready HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nConnection: close\r\n\r\n' >&3
    head -n 1 <&3 | grep -q ' 200 '
    exit
fi

# A directory at the root of its only disk is a bucket.
mkdir -p "/data/${S3_BUCKET_NAME:-pravah-local-bucket}"
exec minio server --address :9000 --console-address :9001 /data
