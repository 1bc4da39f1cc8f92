// What is told of an incident, and where it is drawn. Pure.

import { gapKind, howLong } from "./gaps.js";

export const phases = { standing_in: "Standing in", coming_home: "Coming home", over: "Over" };

/** since returns when a step was, counted from the beginning of the incident. */
export function since(incident, at) {
  const ms = Date.parse(at) - Date.parse(incident.begun);
  const sign = ms < 0 ? "−" : "+";
  const abs = Math.abs(ms);
  if (abs < 60_000) return `${sign}${(abs / 1000).toFixed(3)} s`;
  if (abs < 3_600_000) return `${sign}${Math.floor(abs / 60_000)}:${String(Math.floor((abs % 60_000) / 1000)).padStart(2, "0")} min`;
  return `${sign}${Math.floor(abs / 3_600_000)}:${String(Math.floor((abs % 3_600_000) / 60_000)).padStart(2, "0")} h`;
}

const tones = {
  ordered: "info", recalled: "info", heard: "bad", suspected: "bad", veto: "info", refused: "bad", leaving: "info", decided: "stand-in", granted: "stand-in", durable: "stand-in",
  back: "home", waiting: "home", failback_decided: "home", failback: "home", proven: "home", released: "dim", merge_begun: "info", merge_ended: "info", over: "home",
};
const names = {
  ordered: "Order", recalled: "Recalled", heard: "Last answer", suspected: "Suspicion", veto: "Veto", refused: "Refused", leaving: "Leaving", decided: "Decision", granted: "Lease granted", durable: "Recording",
  back: "Home answers", waiting: "Hold-down", failback_decided: "Decision", failback: "Failback", proven: "Overlap proven", released: "Put down",
  merge_begun: "Going home", merge_ended: "All home", over: "Over",
};

/** toneOf returns how a step is coloured, nameOf what it is called. */
export const toneOf = (kind) => tones[kind] ?? "dim";
export const stepName = (kind) => names[kind] ?? kind.replaceAll("_", " ");

/** missing returns the most that is missing of one camera, and of how many something is; undefined where nobody may tell. */
export function missing(incident) {
  const accounts = (incident.cameras ?? []).map((c) => c.account).filter(Boolean);
  if (accounts.length === 0) return undefined;
  return { worst: Math.max(...accounts.map((a) => a.milliseconds)), cameras: accounts.filter((a) => a.milliseconds > 0).length, of: accounts.length, unsure: accounts.some((a) => a.missing?.length > 0) };
}

const first = (incident, kind) => incident.steps.find((s) => s.kind === kind);

/** lasted returns how long something took that is not counted in frames. */
export const lasted = (ms) => (ms >= 1000 && ms < 120_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s` : howLong(Math.round(ms)));

/** facts returns [name, value] pairs of an incident, those that are known. */
export function facts(incident, now = Date.now()) {
  const begun = Date.parse(incident.begun);
  const decided = first(incident, "decided");
  const durables = incident.cameras.flatMap((c) => c.tenures.slice(0, 1)).map((t) => Date.parse(t.durable ?? "")).filter((t) => !Number.isNaN(t));
  const all = [];
  if (decided && first(incident, "heard")) all.push(["Decided after", howLong(Date.parse(decided.at) - begun)]);
  if (durables.length === incident.cameras.length) all.push(["All recorded again after", howLong(Math.max(0, Math.max(...durables) - begun))]);
  all.push([incident.back ? "Away from home for" : "Away from home since", lasted((incident.back ? Date.parse(incident.back) : now) - begun)]);
  const lost = missing(incident);
  if (lost) all.push(["Missing at most", lost.unsure ? "not known yet" : lost.worst === 0 ? "nothing" : howLong(lost.worst)]);
  if (incident.over) all.push(["All footage home", `${lasted(Math.max(0, Date.parse(incident.over) - Date.parse(incident.back)))} later`]);
  return all;
}

/** windows returns the stretches that are worth a look: the whole, the takeover, the way back. */
export function windows(incident) {
  const from = Date.parse(incident.from ?? incident.begun);
  const to = Date.parse(incident.to ?? incident.begun);
  const begun = Date.parse(incident.begun);
  const all = { Whole: [from, to] };
  const durable = Math.max(begun, ...incident.cameras.flatMap((c) => c.tenures.slice(0, 1)).map((t) => Date.parse(t.durable ?? t.since)));
  all.Takeover = [Math.max(from, begun - 2000), Math.min(to, durable + 2000)];
  if (incident.back) all.Failback = [Math.max(from, Date.parse(incident.back) - 3000), Math.min(to, Date.parse(incident.back) + 6000)];
  return Object.fromEntries(Object.entries(all).filter(([name, [a, b]]) => name === "Whole" || b > a));
}

const leastGap = 2; // pixels

/** bars returns the stretches of one camera in [from, to), in pixels of a width: {x, width, kind, span or gap}. */
export function bars(incident, camera, [from, to], width) {
  const at = (t) => Math.min(width, Math.max(0, (width * (Date.parse(t) - from)) / Math.max(1, to - from)));
  const inside = (s) => Date.parse(s.to) > from && Date.parse(s.from) < to;
  const spans = (camera.spans ?? []).filter(inside).map((span) => ({ x: at(span.from), width: at(span.to) - at(span.from), kind: span.holder === incident.home ? "home" : "failover", span }));
  const gaps = (camera.account?.gaps ?? []).filter(inside).map((gap) => ({ x: at(gap.from), width: Math.max(leastGap, at(gap.to) - at(gap.from)), kind: gapKind(gap), gap }));
  return [...spans, ...gaps];
}

const marked = { ordered: "order", heard: "last answer", leaving: "leaving", decided: "decision", back: "home answers", failback: "failback", merge_ended: "all home" };

/** moments returns what divides the story, as {x, row, label, tone}, near ones joined, labels in rows where they do not overlap. */
export function moments(incident, [from, to], width, letter = 6.4) {
  const seen = new Set();
  const list = [];
  for (const s of incident.steps) {
    const name = marked[s.kind];
    const t = Date.parse(s.at);
    if (!name || t < from || t > to || seen.has(s.kind + (s.kind === "decided" ? s.server : ""))) continue;
    seen.add(s.kind + (s.kind === "decided" ? s.server : ""));
    const x = (width * (t - from)) / Math.max(1, to - from);
    const last = list.at(-1);
    if (last && x - last.x < 6) {
      last.label += `, ${name}`;
      last.tone = toneOf(s.kind);
    } else list.push({ x, label: name, tone: toneOf(s.kind) });
  }
  const ends = [];
  for (const m of list) {
    const length = m.label.length * letter;
    m.left = m.x + length > width; // the label stands to the left of its line
    const start = m.left ? m.x - length : m.x;
    m.row = ends.findIndex((end) => end + 10 < start);
    if (m.row < 0) m.row = ends.length;
    ends[m.row] = m.left ? m.x : m.x + length;
  }
  return list;
}

/** scale returns round moments in [from, to], some of them, with what is written there. */
export function scale([from, to], most = 8) {
  const steps = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 43_200_000];
  const step = steps.find((s) => (to - from) / s <= most) ?? 86_400_000;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const all = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) {
    const time = new Date(t).toLocaleTimeString([], { hour12: false });
    all.push({ t, label: step >= 60_000 ? time.slice(0, -3) : step >= 1000 ? time : `${time}.${String(t % 1000).padStart(3, "0").slice(0, 1)}` });
  }
  return all;
}
