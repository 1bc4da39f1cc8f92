// The servers: state, what they hold, who stands in for them; in a demo, what
// to do to them.

import { call } from "./api.js";
import { h, keyed, text, data, toast } from "./dom.js";
import { icon } from "./icons.js";
import { held, isFailover, servers, standbys } from "./site.js";
import { ago, bytes, onTheWay } from "./words.js";

/** serverState returns {state, sentence} of a server: "up", "stands-in", "sick", "down" or "unknown". Pure. */
export function serverState(site, id, seen) {
  if (!seen) return { state: "unknown", word: "Unknown", sentence: "The management server has told nothing of it yet." };
  if (!seen.reachable) return { state: "down", word: "Away", sentence: seen.sentence };
  const storage = seen.state?.storage;
  if (storage && (!storage.writable || storage.sentence)) return { state: "sick", word: "Storage", sentence: storage.sentence || "Its storage cannot be written." };
  if (seen.state?.leaving) return { state: "sick", word: "Leaving", sentence: `It is about to stop: ${seen.state.leaving}` };
  const faulty = seen.state?.cameras?.filter((c) => c.fault) ?? [];
  if (isFailover(site, id)) {
    return held(site, id).length > 0 ? { state: "stands-in", word: "Stands in", sentence: seen.sentence } : { state: "up", word: "Ready", sentence: seen.sentence };
  }
  if (faulty.length > 0) return { state: "sick", word: "Fault", sentence: `${faulty[0].camera}: ${faulty[0].fault}` };
  return { state: "up", word: "Records", sentence: seen.sentence };
}

export function serversPanel({ feed, identity }) {
  const list = h("ul", { class: "servers" });
  const none = h("p", { class: "hint", hidden: true }, "No server has joined yet. An administrator lets servers join under Set-up.");
  const panel = h("section", { class: "panel", "aria-label": "Servers" }, h("h2", {}, icon("server"), "Servers"), list, none);
  let demo = null; // name → {running}, where there is a demo
  const update = () => {
    none.hidden = servers(feed.site).length > 0 || feed.site.seq === 0;
    keyed(list, servers(feed.site), (s) => s.id, (s) => row(s.id), (element, s) => fill(element, s, feed, demo?.get(s.id)));
  };
  const ask = async () => {
    try {
      demo = new Map((await call("GET", "/demo/servers")).map((s) => [s.name, s]));
      update();
      return true;
    } catch {
      return false; // not a demo
    }
  };
  const row = (id) => h("li", { class: "server" },
    h("div", { class: "line" }, h("span", { class: "dot" }), h("strong", {}, id), h("span", { class: "label" }), h("span", { class: "chip" })),
    h("p", { class: "saw" }),
    h("p", { class: "holds" }),
    h("div", { class: "demo", hidden: true },
      ...["kill", "stop", "hang", "resume", "start"].map((fault) =>
        h("button", { class: "small" + (fault === "kill" || fault === "hang" || fault === "stop" ? " danger" : ""), "data-fault": fault, title: titles[fault], onclick: async (e) => {
          e.currentTarget.disabled = true;
          try {
            await call("POST", `/demo/servers/${id}/${fault}`);
            if (fault === "hang") hanging.add(id);
            else hanging.delete(id);
          } catch (err) {
            toast(err.message, "bad");
          }
          await ask();
        } }, words[fault]))));
  feed.addEventListener("site", update);
  feed.addEventListener("status", update);
  if (identity.actions?.includes("administer")) {
    ask().then((is) => is && setInterval(ask, 2000));
  }
  update();
  return panel;
}

const words = { kill: "Kill", stop: "Stop", hang: "Hang", resume: "Go on", start: "Start" };
const titles = {
  kill: "SIGKILL: it is gone at once", stop: "SIGTERM: a planned stop", hang: "SIGSTOP: the process is there and does nothing",
  resume: "SIGCONT: it goes on", start: "Start it again",
};
const hanging = new Set();

function fill(element, s, { site, status }, process) {
  const seen = status.get(s.id);
  const { state, word, sentence } = serverState(site, s.id, seen);
  data(element, "state", state);
  data(element, "server", s.id);
  const part = (name) => element.querySelector(name);
  text(part(".label"), s.name && s.name !== s.id ? s.name : "");
  text(part(".chip"), word);
  text(part(".saw"), sentence + (seen && !seen.reachable ? `, for ${ago(seen.since)}` : ""));
  text(part(".holds"), facts(site, s, seen).join("  ·  "));
  const buttons = part(".demo");
  buttons.hidden = !process;
  if (!process) return;
  if (!process.running) hanging.delete(s.id);
  const hangs = process.running && (hanging.has(s.id) || seen?.reachable === false);
  const offered = !process.running ? ["start"] : hangs ? ["kill", "resume"] : ["kill", "stop", "hang"];
  for (const b of buttons.children) {
    b.hidden = !offered.includes(b.dataset.fault);
    b.disabled = false;
  }
}

/** capacity writes the bounds of a failover server; "" when it has none. Pure. */
export function capacity(c) {
  const bounds = [];
  if (c?.cameras) bounds.push(`${c.cameras} cameras`);
  if (c?.bit_rate) bounds.push(`${+(c.bit_rate / 1e6).toPrecision(3)} Mbit/s`);
  if (c?.disk_for) bounds.push(`${+(c.disk_for / 3.6e12).toPrecision(3)} hours of disk`);
  return bounds.join(", ");
}

function facts(site, s, seen) {
  const all = [];
  const n = held(site, s.id).length;
  all.push(n === 1 ? "holds 1 camera" : `holds ${n} cameras`);
  if (!isFailover(site, s.id)) {
    const by = standbys(site, s.id);
    all.push(by.length === 0 ? "no standby" : `standby ${by.map((id) => (id === s.mirror_standby ? `${id} (mirror)` : id === s.hot_standby ? `${id} (hot)` : id)).join(", ")}`);
  }
  const may = capacity(s.capacity);
  if (may) all.push(`carries up to ${may}`);
  const short = seen?.state?.short?.length ?? 0;
  if (short > 0) all.push(`has no room for ${short === 1 ? "1 camera" : `${short} cameras`}`);
  const storage = seen?.state?.storage;
  if (storage) all.push(`${bytes(storage.used_bytes)} stored, ${bytes(storage.free_bytes)} free`);
  if (storage?.unmerged_segments > 0) all.push(`${bytes(storage.unmerged_bytes)} not home yet`);
  for (const t of seen?.state?.transfers ?? []) all.push(onTheWay(t, s.id));
  return all;
}
