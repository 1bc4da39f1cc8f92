// The offer to make media direct: shown while any of it is relayed for want of trust.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { servers } from "./site.js";

export function trustBanner({ feed, reach }) {
  const kept = "understudy-relay-is-fine";
  const element = h("div", { class: "banner", hidden: true, role: "note" }, icon("relayed"),
    h("p", {}, h("strong", {}, "Video is relayed through the management server. "),
      "This browser does not trust the servers' certificates. Install the site's CA certificate as an authority (in the browser's settings: Privacy and security, Certificates, Authorities, Import), and video comes straight from the servers."),
    h("a", { href: "/api/v1/ca.pem", download: "understudy-ca.pem" }, "CA certificate"),
    h("button", { class: "quiet small", "aria-label": "Do not say this again", onclick: () => {
      localStorage.setItem(kept, "1");
      update();
    } }, icon("close")));
  const update = () => {
    element.hidden = localStorage.getItem(kept) === "1" || !servers(feed.site).some((s) => reach.of(s.id).way === "relayed");
  };
  reach.addEventListener("change", update);
  return element;
}
