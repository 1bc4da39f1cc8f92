// Elements, made without ever reading text as markup.

/** h makes an element. Attributes that begin with "on" are listeners; false, null and undefined are left out. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** text sets an element's text, if it is another one: the document stays still for screen readers. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/** data sets a data attribute, if it is another one. */
export function data(element, name, value) {
  if (element.dataset[name] !== String(value)) element.dataset[name] = String(value);
}

/** keyed makes the children of a list equal items: kept by key, made by make, brought up to date by update. */
export function keyed(list, items, key, make, update) {
  const old = new Map([...list.children].map((c) => [c.dataset.key, c]));
  let place = list.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let child = old.get(k);
    old.delete(k);
    if (!child) {
      child = make(item);
      child.dataset.key = k;
    }
    update?.(child, item);
    if (child !== place) list.insertBefore(child, place);
    else place = place.nextElementSibling;
  }
  for (const gone of old.values()) {
    gone.dispatchEvent(new CustomEvent("gone"));
    gone.remove();
  }
}

/** toast shows a sentence for some seconds. */
export function toast(sentence, kind = "info") {
  const element = h("p", { class: `toast ${kind}` }, sentence);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), 7000);
}
