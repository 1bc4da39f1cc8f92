#!/usr/bin/env bash
# Four short drills with real processes, side by side: a mirror, a hot and a cold standby,
# the recording server killed; and a hot one of a site of two management servers on one
# PostgreSQL, of which one is killed with it. Each prints its figures as one JSON object and
# fails if a frame is unaccounted for.
set -euo pipefail
cd "$(dirname "$0")/.."
drills=()
drill() {
	bin/understudy drill --fault kill --cameras 4 --json "$@" &
	drills+=($!)
}
for mode in mirror hot cold; do
	drill --mode "$mode"
done
drill --mode hot --store postgres --managements 2 --kill-management
for drill in "${drills[@]}"; do
	wait "$drill"
done
