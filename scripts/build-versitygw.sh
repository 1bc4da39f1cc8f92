#!/usr/bin/env bash
# Builds bin/versitygw, the S3-compatible store that the archive is tested against,
# of the version in tools/versitygw/go.mod. It takes a minute, once; who comes
# while another builds it waits.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
exec 9>bin/.versitygw.lock
flock 9
[[ bin/versitygw -nt tools/versitygw/go.mod && bin/versitygw -nt tools/versitygw/go.sum ]] && exit 0
echo "building versitygw of the version in tools/versitygw/go.mod; this takes a minute, once"
cd tools/versitygw
go build -o ../../bin/versitygw.new github.com/versity/versitygw/cmd/versitygw
mv ../../bin/versitygw.new ../../bin/versitygw
