#!/usr/bin/env bash
# Builds dist/understudy_VERSION_ARCH.deb with nfpm of the version in
# tools/nfpm/go.mod. VERSION is that of the newest tag unless given; BINARY is built
# unless given.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin dist
exec 9>bin/.nfpm.lock
flock 9
if [[ ! bin/nfpm -nt tools/nfpm/go.mod || ! bin/nfpm -nt tools/nfpm/go.sum ]]; then
	echo "building nfpm of the version in tools/nfpm/go.mod; this takes a minute, once"
	(cd tools/nfpm && go build -o ../../bin/nfpm.new github.com/goreleaser/nfpm/v2/cmd/nfpm)
	mv bin/nfpm.new bin/nfpm
fi
flock -u 9
if [[ -z ${VERSION:-} ]]; then
	# A number that grows with each commit, also where no tag is.
	VERSION=$(git describe --tags --match 'v[0-9]*' 2>/dev/null || echo "v0.0.0-$(git rev-list --count HEAD)-g$(git rev-parse --short HEAD)")
	VERSION=${VERSION#v}
	VERSION=${VERSION/-/+}
	VERSION=${VERSION//-/.}
fi
ARCH=${ARCH:-$(go env GOARCH)}
if [[ -z ${BINARY:-} ]]; then
	BINARY=bin/understudy
	GOARCH=$ARCH CGO_ENABLED=0 go build -trimpath -o "$BINARY" ./cmd/understudy
fi
# Manual pages and completion are what the program says of itself; for another
# machine's, one that runs here says it.
SAYS=$BINARY
if [[ $ARCH != $(go env GOHOSTARCH) ]]; then
	SAYS=bin/understudy.host
	go build -trimpath -o "$SAYS" ./cmd/understudy
fi
MADE=$(mktemp -d)
trap 'rm -rf "$MADE"' EXIT
"$SAYS" man "$MADE/man"
gzip -9n "$MADE"/man/*
for shell in bash zsh fish; do "$SAYS" completion "$shell" >"$MADE/completion.$shell"; done
export VERSION ARCH BINARY MADE
bin/nfpm package --config packaging/nfpm.yaml --packager deb --target "${TARGET:-dist/}"
