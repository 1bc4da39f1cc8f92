// Icons: strokes on a grid of 24, in the colour of the text around them.

const paths = {
  camera: ["M3 8a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z", "M16 11l5-3v8l-5-3"],
  server: ["M4 5h16v6H4z", "M4 13h16v6H4z", "M7.500 8h.01", "M7.500 16h.01", "M11 8h6", "M11 16h6"],
  standby: ["M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z", "M9 12l2 2 4-4"],
  direct: ["M4 12h14", "M13 7l5 5-5 5"],
  relayed: ["M3 12h5", "M16 12h5", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z"],
  swap: ["M4 8h13", "M14 4l4 4-4 4", "M20 16H7", "M10 12l-4 4 4 4"],
  home: ["M4 11l8-7 8 7", "M6 10v9h12v-9"],
  alert: ["M12 4L2.500 20h19z", "M12 10v4", "M12 17h.01"],
  events: ["M5 6h14", "M5 12h14", "M5 18h9"],
  gear: ["M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z", "M12 3v3", "M12 18v3", "M3 12h3", "M18 12h3", "M5.600 5.600l2.100 2.100", "M16.300 16.300l2.100 2.100", "M5.600 18.400l2.100-2.100", "M16.300 7.700l2.100-2.100"],
  grid: ["M4 4h7v7H4z", "M13 4h7v7h-7z", "M4 13h7v7H4z", "M13 13h7v7h-7z"],
  expand: ["M9 4H4v5", "M15 4h5v5", "M9 20H4v-5", "M15 20h5v-5"],
  play: ["M7 5l12 7-12 7z"],
  live: ["M12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4z", "M7.500 7.500a6.400 6.400 0 0 0 0 9", "M16.500 7.500a6.400 6.400 0 0 1 0 9", "M4.700 4.700a10.300 10.300 0 0 0 0 14.600", "M19.300 4.700a10.300 10.300 0 0 1 0 14.600"],
  exit: ["M14 4h5v16h-5", "M10 8l-4 4 4 4", "M6 12h9"],
  save: ["M12 4v11", "M7 11l5 5 5-5", "M5 20h14"],
  power: ["M12 3v9", "M6.500 7a8 8 0 1 0 11 0"],
  pause: ["M8 5v14", "M16 5v14"],
  clock: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 7v5l3 3"],
  disk: ["M4 6c0-1.700 3.600-3 8-3s8 1.300 8 3-3.600 3-8 3-8-1.300-8-3z", "M4 6v12c0 1.700 3.600 3 8 3s8-1.300 8-3V6", "M4 12c0 1.700 3.600 3 8 3s8-1.300 8-3"],
  mark: ["M6 21V4", "M6 4h11l-3 4 3 4H6"],
  lock: ["M6 11h12v9H6z", "M8.500 11V8a3.500 3.500 0 0 1 7 0v3"],
  add: ["M12 5v14", "M5 12h14"],
  edit: ["M4 20l1-4L16 5l3 3L8 19z"],
  close: ["M6 6l12 12", "M18 6L6 18"],
};

const svg = "http://www.w3.org/2000/svg";

/** icon returns an inline picture; it is hidden from screen readers, which get the words beside it. */
export function icon(name) {
  const element = document.createElementNS(svg, "svg");
  element.setAttribute("viewBox", "0 0 24 24");
  element.setAttribute("class", "icon");
  element.setAttribute("aria-hidden", "true");
  for (const d of paths[name]) {
    const path = document.createElementNS(svg, "path");
    path.setAttribute("d", d);
    element.append(path);
  }
  return element;
}

/** mark is the product's sign: one circle that steps in for another. */
export function mark() {
  const element = document.createElementNS(svg, "svg");
  element.setAttribute("viewBox", "0 0 32 32");
  element.setAttribute("class", "mark");
  element.setAttribute("aria-hidden", "true");
  const circle = document.createElementNS(svg, "circle");
  for (const [name, value] of Object.entries({ cx: 12, cy: 16, r: 8, class: "first" })) circle.setAttribute(name, value);
  const arc = document.createElementNS(svg, "path");
  arc.setAttribute("d", "M19 8.700a8 8 0 1 1 0 14.600");
  arc.setAttribute("class", "second");
  element.append(circle, arc);
  return element;
}
