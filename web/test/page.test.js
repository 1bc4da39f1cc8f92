// Run with: node --test web/test
import assert from "node:assert/strict";
import { test } from "node:test";

import { Pacer, timing } from "../page/js/fragment.js";
import { pauseAfter } from "../page/js/pause.js";
import { chase } from "../page/js/edge.js";
import { gapKind, gapTitle, gapsSentence, howLong } from "../page/js/gaps.js";
import { decide } from "../page/js/way.js";
import { Memory } from "../page/js/memory.js";
import { applyEvent, candidates, emptySite, standbys, wholeSite } from "../page/js/site.js";
import { answers, elect } from "../page/js/statement.js";
import { bars, facts, missing, moments, scale, since, windows } from "../page/js/story.js";
import { pieceAt, playable, ticks } from "../page/js/spans.js";
import { verdicts } from "../page/js/preflight.js";
import { capacity } from "../page/js/servers.js";
import { ago, bytes, onTheWay, tileState } from "../page/js/words.js";

const u32 = (n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const box = (type, ...content) => {
  const all = content.flat();
  return [...u32(8 + all.length), ...[...type].map((c) => c.charCodeAt(0)), ...all];
};

// fragment is one sample at a decode time with a duration, as a server sends it.
const fragment = (decode, duration) => Uint8Array.from([
  ...box("moof", box("mfhd", u32(0), u32(1)), box("traf",
    box("tfhd", u32(0x020000), u32(1)),
    box("tfdt", u32(1 << 24), u32(0), u32(decode)),
    box("trun", u32((1 << 24) | 0xf01), u32(1), u32(0), u32(duration), u32(3), u32(0), u32(0)))),
  ...box("mdat", [1, 2, 3]),
]);

test("a fragment's time is read", () => {
  assert.deepEqual({ ...timing(fragment(9000, 3600)), at: 0 }, { decode: 9000, duration: 3600, at: 0 });
});

test("bytes that are no fragment have no time, wherever they end", () => {
  const whole = fragment(9000, 3600);
  for (let n = 0; n < whole.length - 11; n++) assert.equal(timing(whole.slice(0, n)), undefined);
});

test("each fragment lasts until the next one begins", () => {
  const pacer = new Pacer();
  assert.deepEqual(pacer.next(fragment(0, 3600)), []);
  const [first] = pacer.next(fragment(9000, 3600));
  assert.equal(timing(first).duration, 9000);
  const [second] = pacer.next(fragment(27000, 9000));
  assert.equal(timing(second).duration, 18000);
  assert.equal(timing(pacer.flush()[0]).duration, 9000);
  assert.deepEqual(pacer.flush(), []);
});

test("playing stays near the live edge", () => {
  assert.deepEqual(chase(0, 0, 2), { jump: 1.75 });
  assert.deepEqual(chase(9.8, 0, 10), { rate: 1 });
  assert.deepEqual(chase(9.3, 0, 10), { rate: 1.2 });
  assert.deepEqual(chase(4, 9.9, 10), { jump: 9.9 });
});

test("a first try is soon, later ones are not", () => {
  assert.ok(pauseAfter(1) <= 150);
  assert.ok(pauseAfter(50) <= 1500);
});

test("a direct way that breaks is not called a matter of trust while the server is away", () => {
  assert.deepEqual(decide({ way: "direct" }, false, false), { way: "direct", up: false });
  assert.deepEqual(decide({ way: "" }, false, true), { way: "relayed", up: true });
  assert.deepEqual(decide({ way: "relayed" }, true, false), { way: "direct", up: true });
});

const site = {
  ...emptySite(), seq: 5,
  cameras: [{ id: "gate", name: "Gate", home: "rec1", failover: "full" }],
  recording_servers: [{ id: "rec1", hot_standby: "fo1", primary_group: "g" }],
  failover_servers: [{ id: "fo1" }, { id: "fo2" }],
  groups: [{ id: "g", members: ["fo2", "fo1"] }],
  leases: [{ camera: "gate", holder: "rec1", epoch: 1 }],
};

test("a mirror stands in first, a camera's own before its home's", () => {
  const mirrored = { ...site, recording_servers: [{ ...site.recording_servers[0], mirror_standby: "fo2" }] };
  assert.deepEqual(standbys(mirrored, "rec1"), ["fo2", "fo1"]);
  assert.deepEqual(standbys(mirrored, "rec1", "fo3"), ["fo3", "fo1", "fo2"]);
});

test("events change the site, once", () => {
  const taken = applyEvent(site, { seq: 6, changes: [{ lease: { camera: "gate", holder: "fo1", epoch: 2 } }] });
  assert.equal(taken.leases[0].holder, "fo1");
  assert.equal(site.leases[0].holder, "rec1");
  assert.equal(applyEvent(taken, { seq: 6, changes: [{ gone_camera: "gate" }] }), taken);
  assert.deepEqual(applyEvent(taken, { seq: 7, changes: [{ gone_camera: "gate" }] }).cameras, []);
});

test("locks come and go by events", () => {
  const locked = applyEvent(site, { seq: 6, changes: [{ lock: { id: "case-7", camera: "gate" } }, { trigger: { id: "door", camera: "gate" } }] });
  assert.deepEqual(locked.locks.map((l) => l.id), ["case-7"]);
  assert.deepEqual(applyEvent(locked, { seq: 7, changes: [{ gone_lock: "case-7" }] }).locks, []);
});

test("lists that are null are empty", () => {
  assert.deepEqual(wholeSite({ seq: 3, cameras: null, groups: [{ id: "g", members: null }] }), { ...emptySite(), seq: 3, groups: [{ id: "g", members: [] }] });
});

test("who stands in is asked in order", () => {
  assert.deepEqual(standbys(site, "rec1"), ["fo1", "fo2"]);
  assert.deepEqual(candidates(site, "gate"), ["rec1", "fo1", "fo2"]);
});

test("a tile says what happens", () => {
  const base = { site, status: new Map(), id: "gate", facts: { connected: "", trying: "", quiet: Infinity, since: 1000 }, fresh: false, had: true, refused: "", connected: true, relayed: false, now: 2000 };
  assert.equal(tileState({ ...base, fresh: true }).state, "live");
  assert.deepEqual(tileState(base), { state: "takeover", sentence: "rec1 does not answer; fo1 is taking over…" });
  const moved = { ...base, site: { ...site, leases: [{ camera: "gate", holder: "fo1" }] } };
  assert.match(tileState(moved).sentence, /^fo1 has taken over/);
  assert.equal(tileState({ ...base, now: 60_000 }).state, "lost");
  const alone = { ...base, site: { ...site, cameras: [{ ...site.cameras[0], failover: "none" }] } };
  assert.match(tileState(alone).sentence, /set to wait/);
  assert.match(tileState({ ...base, connected: false, relayed: true }).sentence, /management server/);
  assert.match(tileState({ ...base, connected: false }).sentence, /elsewhere/);
  assert.equal(tileState({ ...base, refused: "H.265" }).sentence, "H.265");
});

const at = (s) => new Date(s * 1000).toISOString();
const line = { spans: [
  { holder: "rec1", at: "rec1", from: at(0), to: at(60) }, { holder: "fo1", at: "fo1", from: at(62), to: at(90) },
  { holder: "rec1", at: "rec1", from: at(90), to: at(120) }, { holder: "fo1", at: "rec1", from: at(120.5), to: at(130) },
] };

test("spans on one server play as one", () => {
  assert.deepEqual(playable(line).map((r) => [r.at, r.from / 1000, r.to / 1000]), [["rec1", 0, 60], ["fo1", 62, 90], ["rec1", 90, 130]]);
  assert.deepEqual(pieceAt(line, 61_000, 600_000), { at: "fo1", from: 62_001, to: 90_000 });
  assert.equal(pieceAt(line, 130_000, 600_000), undefined);
});

test("what is away is not played", () => {
  assert.equal(pieceAt({ spans: [{ ...line.spans[0], away: true }] }, 0, 1000), undefined);
});

test("an axis has some round times", () => {
  const all = ticks(0, 3_600_000);
  assert.ok(all.length > 3 && all.length < 10);
  assert.ok(all.every((t) => t % 60_000 === 0));
});

test("sizes and ages are for people", () => {
  assert.equal(bytes(0), "0 B");
  assert.equal(bytes(2_900_000), "2.9 MB");
  assert.equal(ago(at(0), 120_000), "2 min");
});

test("a transfer says which way, how much, how fast, and why it waits", () => {
  const t = { from: "fo1", to: "rec1", bytes_left: 3e6, bytes_per_second: 1e6, segments_left: 2 };
  assert.match(onTheWay(t, "fo1"), /^sending home to rec1: .+ left, .+\/s$/);
  assert.match(onTheWay(t, "rec1"), /^footage comes home from fo1: /);
  assert.match(onTheWay({ ...t, bytes_per_second: 0, waiting: "rec1 lags" }, "fo1"), /left \(rec1 lags\)$/);
});

const incident = {
  id: "rec1-9", home: "rec1", phase: "over", begun: at(100), back: at(112), over: at(114), from: at(90), to: at(122),
  steps: [
    { kind: "heard", at: at(100), server: "fo1" }, { kind: "decided", at: at(100.2), server: "fo1" }, { kind: "granted", at: at(100.21), server: "fo1" },
    { kind: "back", at: at(107), server: "fo1" }, { kind: "failback", at: at(112), server: "rec1" }, { kind: "merge_ended", at: at(114), server: "fo1" },
  ],
  cameras: [{
    camera: "gate", tenures: [{ server: "fo1", since: at(100.21), durable: at(101) }],
    spans: [{ holder: "rec1", from: at(90), to: at(100) }, { holder: "fo1", from: at(100.8), to: at(112) }, { holder: "rec1", from: at(112), to: at(122), joined: true }],
    account: { milliseconds: 800, gaps: [{ from: at(100), to: at(100.8), milliseconds: 800, cause: "takeover" }] },
  }],
};

test("steps are counted from the beginning", () => {
  assert.equal(since(incident, at(100.2)), "+0.200 s");
  assert.equal(since(incident, at(98)), "−2.000 s");
  assert.equal(since(incident, at(100 + 754)), "+12:34 min");
});

test("an incident has its facts, and no more than are known", () => {
  const known = Object.fromEntries(facts(incident));
  assert.equal(known["Decided after"], "200 ms");
  assert.equal(known["Missing at most"], "800 ms");
  assert.equal(known["All footage home"], "2.0 s later");
  const early = Object.fromEntries(facts({ ...incident, back: undefined, over: undefined, cameras: [{ camera: "gate", tenures: [{ server: "fo1" }] }] }, 103_000));
  assert.deepEqual(Object.keys(early), ["Decided after", "Away from home since"]);
  assert.equal(missing({ cameras: [{ camera: "gate" }] }), undefined);
});

test("the picture has a bar for each stretch, and gaps that can be seen", () => {
  const whole = bars(incident, incident.cameras[0], [90_000, 122_000], 320);
  assert.deepEqual(whole.map((b) => [b.kind, Math.round(b.x)]), [["home", 0], ["failover", 108], ["home", 220], ["takeover", 100]]);
  assert.ok(bars(incident, incident.cameras[0], [0, 86_400_000], 1000).every((b) => b.kind !== "takeover" || b.width >= 2));
  assert.equal(bars(incident, incident.cameras[0], [0, 50_000], 320).length, 0);
});

test("moments that are near are one label, and labels do not overlap", () => {
  const all = moments(incident, [90_000, 122_000], 640);
  assert.equal(all[0].label, "last answer, decision");
  for (const row of new Set(all.map((m) => m.row))) {
    const ends = all.filter((m) => m.row === row).map((m) => [m.left ? m.x - m.label.length * 6.4 : m.x, m.left ? m.x : m.x + m.label.length * 6.4]);
    for (let i = 1; i < ends.length; i++) assert.ok(ends[i][0] > ends[i - 1][1]);
  }
});

test("windows lie inside the picture", () => {
  for (const [from, to] of Object.values(windows(incident))) assert.ok(from >= 90_000 && to <= 122_000 && to > from);
  assert.ok(scale([90_000, 122_000]).length > 3 && scale([90_000, 122_000]).length < 10);
  assert.ok(scale([90_000, 91_000]).every((s) => /\.\d$/.test(s.label)));
});

test("a gap says how long it is in milliseconds, and why", () => {
  const gap = { milliseconds: 912, cause: "takeover", epoch: 2, sentence: "rec1 is dead" };
  assert.equal(gapTitle(gap), "912 ms missing: takeover (epoch 2). rec1 is dead");
  assert.equal(gapTitle({ milliseconds: 40, cause: "new" }), "40 ms missing: nobody noted why");
  assert.equal(gapKind({ cause: "retention" }), "retention meant");
  assert.equal(gapKind({ cause: "new" }), "unknown");
});

test("gaps are summed up by cause, without what was meant to be missing", () => {
  assert.equal(gapsSentence([]), "");
  assert.equal(gapsSentence([{ milliseconds: 900, cause: "takeover" }, { milliseconds: 40, cause: "camera" }, { milliseconds: 80, cause: "camera" }, { milliseconds: 1e6, cause: "rule" }]),
    "Missing 900 ms: takeover; 120 ms in 2 gaps: the camera was away");
  assert.deepEqual([40, 12_340, 1_200_000, 86_400_000].map(howLong), ["40 ms", "12.3 s", "20 min", "24 h"]);
});

test("a failover server's bounds are written for people", () => {
  assert.equal(capacity({ cameras: 40, bit_rate: 120_500_000, disk_for: 24 * 3600 * 1e9 }), "40 cameras, 121 Mbit/s, 24 hours of disk");
  assert.equal(capacity({}), "");
  assert.equal(capacity(undefined), "");
});

test("a pre-flight is red for whom it concerns", () => {
  const finding = (home, red) => ({ home, red, sentence: "x" });
  const rows = (...findings) => verdicts([{ server: "fo-1", homes: ["rec-2", "rec-1"], findings }]).map((r) => `${r.home} ${r.red} ${r.findings.length}`);
  assert.deepEqual(rows(), ["rec-1 false 0", "rec-2 false 0"]);
  assert.deepEqual(rows(finding("rec-1", true), finding("rec-2", false)), ["rec-1 true 1", "rec-2 false 1"]);
  assert.deepEqual(rows(finding(undefined, true)), ["rec-1 true 1", "rec-2 true 1"]);
});

test("a picture that stands still is looked for where the highest epoch says that it is", () => {
  const order = ["rec1", "fo1", "fo2"];
  const said = (all) => new Map(Object.entries(all).map(([server, [epoch, receiving] = []]) => [server, epoch === undefined ? null : { server, epoch, receiving }]));
  for (const [what, words, shown, alone, want] of [
    ["nobody has said anything", {}, "rec1", true, ""],
    ["the holder's answer is awaited", { fo1: [2, true] }, "rec1", true, ""],
    ["the holder hangs, and nobody has it yet", { rec1: [], fo1: [0, false] }, "rec1", true, ""],
    ["the holder hangs", { rec1: [], fo1: [2, true] }, "rec1", false, "fo1"],
    ["two claim it", { rec1: [], fo1: [2, true], fo2: [3, true] }, "rec1", true, "fo2"],
    ["a mirror alone shows it", { rec1: [], fo1: [0, true] }, "rec1", true, "fo1"],
    ["the camera is silent", { rec1: [1, false], fo1: [0, false] }, "rec1", true, ""],
    ["the holder denies", { rec1: [0, true], fo1: [1, true] }, "rec1", true, "fo1"],
    ["both serve, nobody tells leases", { rec1: [1, true], fo1: [2, true] }, "rec1", true, "fo1"],
    ["both serve, and leases are told", { rec1: [1, true], fo1: [2, true] }, "rec1", false, ""],
    ["home woke up", { rec1: [1, true], fo1: [2, true] }, "fo1", true, ""],
    ["there is no picture at all", { fo1: [2, true] }, "", true, "fo1"],
  ]) assert.equal(elect(order, said(words), shown, alone), want, what);
});

test("a statement is an answer to its own question only", () => {
  const signed = { statement: btoa(JSON.stringify({ server: "fo1", camera: "gate", epoch: 2, receiving: true, nonce: "n1" })) };
  assert.equal(answers(signed, "fo1", "gate", "n1").epoch, 2);
  for (const [server, camera, nonce] of [["fo2", "gate", "n1"], ["fo1", "yard", "n1"], ["fo1", "gate", "n2"]]) assert.equal(answers(signed, server, camera, nonce), null);
});

// A store of one text, in memory.
const oneText = () => {
  let kept;
  return {
    read: async () => kept ?? Promise.reject(new Error("nothing is kept")),
    write: async (text) => { kept = text; },
    remove: async () => { kept = undefined; },
  };
};

test("what is known of the site is remembered when all of it is known, for as long as a session lasts", async () => {
  const store = oneText();
  const hour = 3600_000;
  const first = new Memory(store);
  await first.keep({ identity: { user: "ada" } }, 0);
  await first.keep({ token: "T1" }, 0);
  assert.equal(await new Memory(store).recall(0), null);
  await first.keep({ site: { seq: 1 } }, hour);
  const second = new Memory(store);
  assert.deepEqual(await second.recall(11 * hour), { identity: { user: "ada" }, token: "T1", site: { seq: 1 }, at: 0 });
  await second.keep({ token: "T2" }, 11 * hour);
  assert.equal((await new Memory(store).recall(22 * hour)).token, "T2");
  assert.equal(await new Memory(store).recall(24 * hour), null);
});

test("nobody sees what another user knew, or who has signed out", async () => {
  const store = oneText();
  const ada = { identity: { user: "ada" }, token: "T1", site: { seq: 1 } };
  await new Memory(store).keep(ada, 0);
  const memory = new Memory(store);
  memory.keep({ identity: { user: "ada" } }, 1);
  memory.keep({ token: "T2" }, 1);
  assert.equal((await memory.recall(1)).token, "T1"); // the site may be another one since
  memory.keep({ identity: { user: "bob" } }, 2);
  assert.equal(await memory.recall(2), null);
  memory.keep({ token: "T3" }, 3);
  await memory.keep({ site: { seq: 2 } }, 3);
  assert.deepEqual(await new Memory(store).recall(4), { identity: { user: "bob" }, token: "T3", site: { seq: 2 }, at: 3 });
  await memory.forget();
  assert.equal(await new Memory(store).recall(5), null);
});
