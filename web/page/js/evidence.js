// What a person tells the site about a camera's time: that something happened,
// and that footage must stay.

import { call } from "./api.js";
import { h, toast } from "./dom.js";
import { dialog } from "./setup.js";
import { field } from "./sign-in.js";
import { clock } from "./words.js";

const day = 86_400_000;

/** markEvent asks what happened at a camera and tells the management server; done is called then. */
export function markEvent(camera, done) {
  const at = new Date().toISOString(); // when the button was pressed
  const name = field("What happened", { maxlength: "100", placeholder: "door forced" });
  dialog(`Mark an event at ${camera}`, [name.element], "Mark", async () => {
    await call("POST", "/events", { camera, name: name.input.value.trim(), at });
    toast("The event is marked.", "good");
    setTimeout(done, 2000); // a server writes it down
  });
}

/** lockFootage asks why the footage from a time to another must stay, and for how long. */
export function lockFootage(camera, from, to) {
  const reason = field("Why, so that somebody can judge it later", { maxlength: "500", placeholder: "case 2026-114" });
  const days = field("For how many days (empty: until it is removed)", { type: "number", min: "1", max: "36500", required: false });
  dialog(`Lock the footage of ${camera}`, [h("p", { class: "hint" }, `From ${clock(from)} to ${clock(to)}, on every server.`), reason.element, days.element], "Lock", async () => {
    const lock = { camera, from: new Date(from).toISOString(), to: new Date(to).toISOString(), reason: reason.input.value.trim() };
    if (days.input.value !== "") lock.until = new Date(Date.now() + Number(days.input.value) * day).toISOString();
    await call("POST", "/locks", lock);
    toast("The footage is locked.", "good");
  });
}
