// What is missing of a timeline, and why, in words. Pure.

const causes = {
  camera: "the camera was away",
  takeover: "takeover",
  session: "the camera allows too few sessions for two servers",
  server: "no server recorded",
  disk: "the disk failed or was too slow",
  damage: "recorded, and damaged since",
  rule: "not to be recorded",
  retention: "deleted when its time had come",
  unknown: "nobody noted why",
};

// What was meant to be missing is no fault.
const meant = ["rule", "retention"];

/** howLong returns a gap's length for people: milliseconds, while they matter. */
export function howLong(ms) {
  if (ms < 10_000) return `${ms} ms`;
  if (ms < 600_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 36_000_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** gapTitle returns the tooltip of a gap. */
export function gapTitle(gap) {
  const incident = gap.epoch ? ` (epoch ${gap.epoch})` : "";
  const why = causes[gap.cause] ?? causes.unknown;
  return `${gap.milliseconds} ms missing: ${why}${incident}${gap.sentence ? `. ${gap.sentence}` : ""}`;
}

/** gapKind returns how a gap is drawn: its cause, and meant if nobody failed. */
export function gapKind(gap) {
  const cause = gap.cause in causes ? gap.cause : "unknown";
  return meant.includes(cause) ? `${cause} meant` : cause;
}

/** gapsSentence sums gaps up by cause, the longest first; empty if there are none that matter. */
export function gapsSentence(gaps) {
  const sums = new Map();
  for (const g of gaps.filter((g) => !meant.includes(g.cause))) {
    const sum = sums.get(g.cause) ?? { count: 0, ms: 0 };
    sums.set(g.cause, { count: sum.count + 1, ms: sum.ms + g.milliseconds });
  }
  const parts = [...sums].sort((a, b) => b[1].ms - a[1].ms)
    .map(([cause, { count, ms }]) => `${howLong(ms)}${count > 1 ? ` in ${count} gaps` : ""}: ${causes[cause] ?? causes.unknown}`);
  return parts.length === 0 ? "" : `Missing ${parts.slice(0, 3).join("; ")}`;
}
