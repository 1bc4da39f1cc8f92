// What the page says. Pure.

import { camera, lease, server, standbys, isFailover } from "./site.js";

const lost = 20_000; // without pictures a takeover is no longer expected

/** nameOf returns how people call a server. */
export const nameOf = (site, id) => server(site, id)?.name || id;

/**
 * tileState returns {state, sentence} of a tile. facts: of Live; status: server
 * id → status; fresh: pictures come; had: there was a picture; connected: the
 * service channel is; relayed: the picture came through the management server.
 */
export function tileState({ site, status, id, facts, fresh, had, refused, connected, relayed, now }) {
  if (refused) return { state: "lost", sentence: refused };
  if (fresh) return { state: "live", sentence: "" };
  if (!connected && relayed) {
    return { state: "waiting", sentence: "The management server, which relays the picture to this browser, does not answer. Recording goes on." };
  }
  const l = lease(site, id);
  const home = camera(site, id)?.home;
  const holder = l?.holder;
  const seen = status.get(holder);
  const fault = seen?.state?.cameras?.find((c) => c.camera === id)?.fault;
  const reachable = seen?.reachable && facts.quiet !== Infinity;
  if (reachable && fault) return { state: "waiting", sentence: `${holder} gets no picture: ${fault}` };
  if (!had) {
    if (seen && !seen.reachable) return { state: now - facts.since > lost ? "lost" : "waiting", sentence: away(site, id, holder, home) };
    return { state: "waiting", sentence: `Waiting for the first picture from ${holder}…` };
  }
  const state = now - facts.since > lost ? "lost" : "takeover";
  if (holder !== home) {
    if (facts.connected === holder || facts.trying === holder) return { state, sentence: `${holder} has taken over; its first picture is coming…` };
    return { state, sentence: `${holder} has taken over; connecting to it…` };
  }
  if (!connected) return { state, sentence: `${holder} does not answer, nor does the management server; looking for the picture elsewhere…` };
  return { state, sentence: away(site, id, holder, home) };
}

function away(site, id, holder, home) {
  const support = camera(site, id)?.failover;
  const next = standbys(site, home).find((s) => s !== holder);
  if (holder !== home) return `${holder} does not answer; waiting for ${home}…`;
  if (support === "none") return `${holder} does not answer. This camera is set to wait for it.`;
  if (!next) return `${holder} does not answer, and no failover server stands in for it.`;
  return `${holder} does not answer; ${next} is taking over…`;
}

export const states = { live: "Live", takeover: "Taking over", waiting: "Waiting", lost: "No picture" };

/** serverKind returns "failover" for a server that stands in, "home" else. */
export const serverKind = (site, id) => (isFailover(site, id) ? "failover" : "home");

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

/** bytes returns a size for people. */
export function bytes(n) {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let u = 0;
  while (n >= 1000 && u < units.length - 1) {
    n /= 1000;
    u++;
  }
  return `${n >= 100 || u === 0 ? Math.round(n) : n.toFixed(1)} ${units[u]}`;
}

/** ago returns how long ago a time was, coarsely. */
export function ago(time, now = Date.now()) {
  const s = Math.max(0, (now - Date.parse(time)) / 1000);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

// onTheWay says in words how far footage on its way home is.
export function onTheWay(t, here) {
  const way = t.from === here ? `sending home to ${t.to}` : `footage comes home from ${t.from}`;
  const rate = t.bytes_per_second > 0 ? `, ${bytes(t.bytes_per_second)}/s` : "";
  const until = t.until ? `, until ${new Date(t.until).toLocaleTimeString()}` : "";
  return `${way}: ${bytes(t.bytes_left)} left${rate}${until}${t.waiting ? ` (${t.waiting})` : ""}`;
}
