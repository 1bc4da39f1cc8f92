// The grid of live tiles.

import { h, keyed } from "./dom.js";
import { Tile } from "./tile.js";

export class Grid {
  selected = "";
  #tiles = new Map();
  #context;
  #enlarged = "";

  constructor(context, onselect) {
    this.#context = { ...context, select: (id) => { this.select(id); onselect(id); }, enlarge: (id) => this.#enlarge(id) };
    this.list = h("div", { class: "tiles" });
    this.empty = h("p", { class: "empty" }, "There is no camera that you may see. An administrator adds cameras under Set-up.");
    this.element = h("section", { class: "grid", "aria-label": "Live pictures" }, this.list, this.empty);
    context.feed.addEventListener("site", () => this.update());
    this.update();
  }

  tile(id) {
    return this.#tiles.get(id);
  }

  tiles() {
    return [...this.#tiles.values()].map((t) => t.facts());
  }

  select(id) {
    this.selected = id;
    for (const [key, t] of this.#tiles) t.element.classList.toggle("selected", key === id);
  }

  #enlarge(id) {
    this.#enlarged = this.#enlarged === id ? "" : id;
    this.list.classList.toggle("one", this.#enlarged !== "");
    for (const [key, t] of this.#tiles) t.element.classList.toggle("enlarged", key === this.#enlarged);
  }

  update() {
    const cameras = [...this.#context.feed.site.cameras].sort((a, b) => a.name.localeCompare(b.name));
    this.empty.hidden = cameras.length > 0 || this.#context.feed.site.seq === 0;
    for (const id of [...this.#tiles.keys()]) {
      if (!cameras.some((c) => c.id === id)) this.#tiles.delete(id);
    }
    keyed(this.list, cameras, (c) => c.id, (c) => {
      const tile = new Tile(c.id, this.#context);
      this.#tiles.set(c.id, tile);
      return tile.element;
    });
    this.list.dataset.count = cameras.length <= 1 ? "1" : cameras.length <= 4 ? "4" : cameras.length <= 9 ? "9" : "many";
  }
}
