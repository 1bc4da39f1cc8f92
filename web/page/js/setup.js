// What administrators set: cameras, servers and who stands in for them.

import { call } from "./api.js";
import { h, text, toast } from "./dom.js";
import { icon } from "./icons.js";
import { field } from "./sign-in.js";

const supports = { full: "record and show", live: "show only", none: "wait for home" };

export function setupView({ feed }) {
  const cameras = h("tbody");
  const homes = h("tbody");
  const spares = h("tbody");
  const groups = h("tbody");
  const element = h("main", { class: "setup", hidden: true },
    card("Cameras", h("button", { class: "primary", onclick: () => editCamera(feed.site) }, icon("add"), "Add a camera"),
      ["Camera", "Address", "Home", "When home is away", ""], cameras),
    card("Recording servers", h("button", { onclick: () => joinServer() }, icon("add"), "Let a server join"),
      ["Server", "Mirror standby", "Hot standby", "First group", "Second group", ""], homes),
    card("Failover servers", null, ["Server", "Addresses", ""], spares),
    card("Failover groups", h("button", { onclick: () => editGroup(feed.site) }, icon("add"), "Add a group"), ["Group", "Members, in the order in which they are asked", ""], groups));
  let shown = null;
  const update = () => {
    // Drawn anew only when something in it changed, so that an open menu stays open.
    const { site } = feed;
    const now = JSON.stringify([site.cameras, site.recording_servers, site.failover_servers, site.groups]);
    if (now === shown) return;
    shown = now;
    cameras.replaceChildren(...site.cameras.map((c) => cameraRow(c, feed)));
    homes.replaceChildren(...site.recording_servers.map((s) => homeRow(s, site)));
    spares.replaceChildren(...site.failover_servers.map((s) => h("tr", {}, nameCell(s), h("td", {}, h("small", {}, addresses(s))), h("td", { class: "acts" }, removeButton("server", s.id, `/servers/${s.id}`)))));
    groups.replaceChildren(...site.groups.map((g) => h("tr", {}, nameCell(g), h("td", {}, g.members.join(", ") || "nobody"),
      h("td", { class: "acts" }, h("button", { class: "small quiet", "aria-label": `Change group ${g.id}`, onclick: () => editGroup(feed.site, g) }, icon("edit"), "Change"), removeButton("group", g.id, `/groups/${g.id}`)))));
  };
  feed.addEventListener("site", update);
  update();
  return element;
}

function card(title, button, heads, body) {
  return h("section", { class: "card" }, h("header", {}, h("h2", {}, title), button),
    h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((t) => h("th", { scope: "col" }, t)))), body));
}

const nameCell = (thing) => h("td", {}, thing.name || thing.id, h("small", {}, thing.id));
const addresses = (s) => `media ${s.addresses?.media}, state ${s.addresses?.state}${s.addresses?.merge ? `, merge ${s.addresses.merge}` : ""}`;

function removeButton(noun, id, path) {
  return h("button", { class: "small quiet danger", "aria-label": `Remove ${noun} ${id}`, onclick: () => confirmRemove(noun, id, path) }, "Remove");
}

function cameraRow(c, feed) {
  return h("tr", {}, nameCell(c), h("td", {}, h("small", {}, c.url)), h("td", {}, c.home), h("td", {}, supports[c.failover] ?? c.failover),
    h("td", { class: "acts" }, h("button", { class: "small quiet", "aria-label": `Change camera ${c.id}`, onclick: () => editCamera(feed.site, c) }, icon("edit"), "Change"),
      removeButton("camera", c.id, `/cameras/${c.id}`)));
}

function homeRow(s, site) {
  const set = async (change) => {
    try {
      await call("PUT", `/recording-servers/${s.id}`, { ...s, ...change });
      toast(`${s.id} is changed.`, "good");
    } catch (err) {
      toast(err.message, "bad");
    }
  };
  const choose = (label, key, ids) => {
    const element = select(["", ...ids], s[key] ?? "", { "aria-label": `${label} of ${s.id}`, onchange: (e) => set({ [key]: e.target.value }) }, { "": "none" });
    return h("td", {}, element);
  };
  const spares = site.failover_servers.map((f) => f.id);
  const groups = site.groups.map((g) => g.id);
  return h("tr", {}, h("td", {}, s.name || s.id, h("small", {}, `${s.id}: ${addresses(s)}`)), choose("Mirror standby", "mirror_standby", spares), choose("Hot standby", "hot_standby", spares),
    choose("First failover group", "primary_group", groups), choose("Second failover group", "secondary_group", groups),
    h("td", { class: "acts" }, removeButton("server", s.id, `/servers/${s.id}`)));
}

function select(values, chosen, attributes, words = {}) {
  return h("select", attributes, ...values.map((v) => h("option", { value: v, selected: v === chosen }, words[v] ?? v)));
}

/** dialog shows a form; save returns when it is done, or fails with a sentence. */
export function dialog(title, parts, label, save) {
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, label);
  const element = h("dialog", { "aria-label": title }, h("form", { onsubmit: async (e) => {
    e.preventDefault();
    button.disabled = true;
    text(problem, "");
    try {
      if (await save() !== false) element.close();
    } catch (err) {
      text(problem, err.message);
    } finally {
      button.disabled = false;
    }
  } }, h("h2", {}, title), ...parts, problem, h("div", { class: "acts" }, h("button", { type: "button", onclick: () => element.close() }, "Cancel"), button)));
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
}

const choice = (label, element) => h("label", { class: "field" }, h("span", {}, label), element);

function editCamera(site, c) {
  const id = field("Id, for good: letters, digits, dashes", { value: c?.id ?? "", disabled: Boolean(c), spellcheck: "false" });
  const name = field("Name", { value: c?.name ?? "", required: false });
  const url = field("Address", { value: c?.url ?? "", placeholder: "rtsp://10.0.0.8/stream1", spellcheck: "false" });
  const user = field("User name on the camera", { value: c?.username ?? "", required: false, autocomplete: "off" });
  const password = field(c ? "Password (empty keeps the stored one)" : "Password", { type: "password", required: false, autocomplete: "new-password" });
  const home = select(site.recording_servers.map((s) => s.id), c?.home, {});
  const failover = select(Object.keys(supports), c?.failover ?? "full", {}, supports);
  const transport = select(["tcp", "udp"], c?.transport ?? "tcp", {}, { tcp: "TCP", udp: "UDP" });
  dialog(c ? `Change camera ${c.id}` : "Add a camera", [
    h("div", { class: "pair" }, id.element, name.element), url.element, h("div", { class: "pair" }, user.element, password.element),
    h("div", { class: "pair" }, choice("Home", home), choice("When home is away", failover)), choice("Transport", transport),
  ], c ? "Save" : "Add", async () => {
    const camera = { ...c, id: id.input.value.trim(), name: name.input.value.trim(), url: url.input.value.trim(), username: user.input.value.trim(),
      home: home.value, failover: failover.value, transport: transport.value };
    if (password.input.value !== "") camera.password = password.input.value;
    await call("PUT", `/cameras/${encodeURIComponent(camera.id)}`, camera);
  });
}

function editGroup(site, g) {
  const id = field("Id, for good", { value: g?.id ?? "", disabled: Boolean(g), spellcheck: "false" });
  const name = field("Name", { value: g?.name ?? "", required: false });
  const members = field(`Members, in their order (of ${site.failover_servers.map((f) => f.id).join(", ") || "none yet"})`, { value: (g?.members ?? []).join(", "), required: false, spellcheck: "false" });
  dialog(g ? `Change group ${g.id}` : "Add a group", [h("div", { class: "pair" }, id.element, name.element), members.element], "Save", async () => {
    const group = { id: id.input.value.trim(), name: name.input.value.trim(), members: members.input.value.split(/[\s,]+/).filter(Boolean) };
    await call("PUT", `/groups/${encodeURIComponent(group.id)}`, group);
  });
}

function joinServer() {
  const id = field("Id of the new server, for good", { spellcheck: "false", placeholder: "rec3" });
  const role = select(["recording", "failover", "channel"], "recording", {}, { recording: "recording server", failover: "failover server", channel: "service channel" });
  const answer = h("div", { hidden: true });
  dialog("Let a server join", [h("div", { class: "pair" }, id.element, choice("It is a", role)), answer], "Make a join token", async () => {
    const { token } = await call("POST", "/join-tokens", { role: role.value, server: id.input.value.trim() });
    const command = `understudy ${role.value} --join @FILE`;
    answer.replaceChildren(h("p", { class: "hint" }, `Write this line to a file on the new machine and start there: ${command}. It is good once, for an hour.`), h("code", { class: "token" }, token));
    answer.hidden = false;
    return false;
  });
}

function confirmRemove(noun, id, path) {
  const what = { camera: "Its recordings stay until their time is over.", server: "It must hold nothing and be home to no camera.", group: "Servers that name it lose it as standby." }[noun];
  dialog(`Remove ${noun} ${id}?`, [h("p", { class: "hint" }, what)], "Remove", () => call("DELETE", path));
}
