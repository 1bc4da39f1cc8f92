// What is played after what, out of a timeline. Pure.

/** playable joins spans that lie on one server without a gap: they play as one. */
export function playable(timeline, tolerance = 1000) {
  const runs = [];
  const spans = timeline.spans.filter((s) => !s.away).map((s) => ({ at: s.at, from: Date.parse(s.from), to: Date.parse(s.to) })).sort((a, b) => a.from - b.from);
  for (const s of spans) {
    const last = runs.at(-1);
    if (last && last.at === s.at && s.from - last.to <= tolerance) last.to = Math.max(last.to, s.to);
    else runs.push({ ...s });
  }
  return runs;
}

/** pieceAt returns {at, from, to} of what plays from time on, at most length; undefined at the end. */
export function pieceAt(timeline, time, length) {
  const run = playable(timeline).find((r) => r.to > time + 300);
  if (!run) return undefined;
  // A run begins within its first millisecond; before that lies what was before it.
  const from = Math.max(run.from + 1, time);
  return { at: run.at, from, to: Math.min(run.to, from + length) };
}

/** ticks returns round times in [from, to], some of them. */
export function ticks(from, to, most = 8) {
  const minute = 60_000;
  const steps = [minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute, 60 * minute, 180 * minute, 360 * minute];
  const step = steps.find((s) => (to - from) / s <= most) ?? 720 * minute;
  const zone = new Date(from).getTimezoneOffset() * minute;
  const all = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) all.push(t);
  return all;
}
