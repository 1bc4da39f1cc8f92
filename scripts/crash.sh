#!/usr/bin/env bash
# Proves the store against crashes, and prints how often: UNDERSTUDY_CRASH_STATES
# states (a million unless told) in memory, each operation failed, real processes
# killed and refused by strace, and disks of the kernel (FUSE) that lose power.
# UNDERSTUDY_CRASH_SEED repeats the states of a seed that was printed.
set -euo pipefail
cd "$(dirname "$0")/.."
export UNDERSTUDY_CRASH_STATES=${UNDERSTUDY_CRASH_STATES:-1000000}
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
run() { # go test's arguments
	go test -count=1 -v "$@" 2>&1 | tee -a "$figures"
}
run -timeout 60m -run '^(TestCrashStates|TestPlantedBugsAreFound|TestEachOperationFailsOnce|TestAHangingFolderHoldsUpNoOther)$' ./internal/storage
run -timeout 10m ./test/crash
(cd tools/fusedisk && run -timeout 10m .)
echo
grep -oE '\{"[^}]*\}$' "$figures"
