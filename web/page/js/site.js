// The site as the page knows it: a value, changed by events. Pure.

export const emptySite = () => ({ seq: 0, cameras: [], recording_servers: [], failover_servers: [], groups: [], leases: [], locks: [] });

/** wholeSite returns a site as it was sent, in which an empty list may be null. */
export function wholeSite(sent) {
  const site = { ...emptySite(), ...sent };
  for (const [name, empty] of Object.entries(emptySite())) site[name] ??= empty;
  site.groups = site.groups.map((g) => ({ ...g, members: g.members ?? [] }));
  return site;
}

const put = (list, item, key) => {
  const rest = list.filter((x) => x[key] !== item[key]);
  return [...rest, item].sort((a, b) => (a[key] < b[key] ? -1 : 1));
};

/** applyEvent returns the site after an event; one that is already in it changes nothing. */
export function applyEvent(site, event) {
  if (event.seq <= site.seq) return site;
  const next = { ...site, seq: event.seq };
  const drop = (list, key, id) => { next[list] = next[list].filter((x) => x[key] !== id); };
  for (const c of event.changes ?? []) {
    if (c.camera) next.cameras = put(next.cameras, c.camera, "id");
    else if (c.recording_server) next.recording_servers = put(next.recording_servers, c.recording_server, "id");
    else if (c.failover_server) next.failover_servers = put(next.failover_servers, c.failover_server, "id");
    else if (c.group) next.groups = put(next.groups, { ...c.group, members: c.group.members ?? [] }, "id");
    else if (c.lease) next.leases = put(next.leases, c.lease, "camera");
    else if (c.lock) next.locks = put(next.locks, c.lock, "id");
    else if (c.gone_lock) drop("locks", "id", c.gone_lock);
    else if (c.gone_camera) {
      drop("cameras", "id", c.gone_camera);
      drop("leases", "camera", c.gone_camera);
    } else if (c.gone_server) {
      drop("recording_servers", "id", c.gone_server);
      drop("failover_servers", "id", c.gone_server);
    } else if (c.gone_group) drop("groups", "id", c.gone_group);
  }
  return next;
}

export const camera = (site, id) => site.cameras.find((c) => c.id === id);
export const lease = (site, id) => site.leases.find((l) => l.camera === id);
export const group = (site, id) => site.groups.find((g) => g.id === id);
export const server = (site, id) => site.recording_servers.find((s) => s.id === id) ?? site.failover_servers.find((s) => s.id === id);
export const isFailover = (site, id) => site.failover_servers.some((s) => s.id === id);
export const servers = (site) => [...site.recording_servers, ...site.failover_servers];

/** standbys returns who stands in for a recording server, or for a camera of it that names a mirror, in the order in which they are asked. */
export function standbys(site, home, mirror) {
  const of = site.recording_servers.find((s) => s.id === home);
  if (!of) return [];
  const all = [mirror || of.mirror_standby, of.hot_standby, ...(group(site, of.primary_group)?.members ?? []), ...(group(site, of.secondary_group)?.members ?? [])];
  return [...new Set(all.filter(Boolean))];
}

/** candidates returns who may have a camera's picture now: the holder, who stands in for home, and home. */
export function candidates(site, id) {
  const home = camera(site, id)?.home;
  const all = [lease(site, id)?.holder, ...(camera(site, id)?.failover === "none" ? [] : standbys(site, home, camera(site, id)?.mirror)), home];
  return [...new Set(all.filter(Boolean))].filter((s) => server(site, s));
}

/** held returns the ids of the cameras that a server holds. */
export const held = (site, id) => site.leases.filter((l) => l.holder === id).map((l) => l.camera);
