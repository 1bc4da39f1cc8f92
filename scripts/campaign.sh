#!/usr/bin/env bash
# Builds what the campaign needs and runs it. RUNS (40), MINUTES, KINDS, MODES,
# SEED and TOGETHER (sites at once, 3) are its flags; arguments such as -json are
# passed on. It needs root, for namespaces, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
go build -trimpath -o bin/understudy ./cmd/understudy
go build -trimpath -o bin/campaign ./test/campaign
(cd tools/fusedisk && go build -trimpath -o ../../bin/fusedisk ./mount)
arguments=(-runs "${RUNS:-40}" -minutes "${MINUTES:-0}" -kinds "${KINDS:-}" -modes "${MODES:-}" -together "${TOGETHER:-3}")
[[ -z ${SEED:-} ]] || arguments+=(-seed "$SEED")
exec bin/campaign "${arguments[@]}" "$@"
