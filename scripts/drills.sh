#!/usr/bin/env bash
# Three short drills with real processes, side by side: a mirror, a hot and a cold standby,
# the recording server killed. Each prints its figures as one JSON object and
# fails if a frame is unaccounted for.
set -euo pipefail
cd "$(dirname "$0")/.."
drills=()
for mode in mirror hot cold; do
	bin/understudy drill --mode "$mode" --fault kill --cameras 4 --json &
	drills+=($!)
done
for drill in "${drills[@]}"; do
	wait "$drill"
done
