// @ts-check
/** Building the page. Whatever phones say comes in as text nodes and properties, never as markup. */

/**
 * An element. `on` has listeners, `text` its text, a boolean is an attribute that is there or not.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | false | undefined)} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "text") {
      node.textContent = value;
    } else if (name === "value") {
      /** @type {any} */ (node).value = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child || child === "")));
  return node;
}

/**
 * The element with this id, which `index.html` has.
 * @param {string} id
 * @returns {any}
 */
export function by(id) {
  return document.getElementById(id);
}

/** @type {WeakMap<Element, { key: string, mark: string }>} */
const made = new WeakMap();
let age = 0;

/** From now on nothing that was made is as it should be: the language changed. */
export function outdate() {
  age += 1;
}

/**
 * Makes the children of `parent` those of `items`. What looks as before stays the very node: players play on, and the
 * focus stays where it is.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {{ key: (item: T) => string, mark: (item: T) => string, make: (item: T) => Element }} how
 */
export function sync(parent, items, { key, mark, make }) {
  const before = new Map([...parent.children].map((node) => [made.get(node)?.key, node]));
  const kept = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const is = { key: key(item), mark: `${age} ${mark(item)}` };
    let node = before.get(is.key);
    if (!node || made.get(node)?.mark !== is.mark) {
      const fresh = make(item);
      made.set(fresh, is);
      if (node) {
        if (at === node) at = fresh;
        replace(node, fresh);
      }
      node = fresh;
    }
    kept.add(node);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of [...parent.children]) if (!kept.has(node)) node.remove();
}

/**
 * Puts `fresh` in the place of `old`, and the focus where it was: on the control with the same `data-focus`.
 * @param {Element} old
 * @param {Element} fresh
 */
function replace(old, fresh) {
  const focused = document.activeElement;
  const had = focused instanceof HTMLElement && old.contains(focused);
  const name = had ? focused.dataset.focus : undefined;
  old.replaceWith(fresh);
  if (!had) return;
  const same = name && fresh.querySelector(`[data-focus="${CSS.escape(name)}"]`);
  const next = same || fresh.querySelector("button, input, a") || fresh;
  if (next instanceof HTMLElement) next.focus({ preventScroll: true });
}

/**
 * Redraws a part as a whole where what it shows changed.
 * @param {Element} parent
 * @param {string} mark
 * @param {() => Element} make
 */
export function redraw(parent, mark, make) {
  sync(parent, [mark], { key: () => "all", mark: (it) => it, make });
}

/**
 * Two letters that stand for a name or a number, on one of six colours.
 * @param {string} name
 * @param {string} id
 * @param {Node} [drawing]
 */
export function avatar(name, id, drawing) {
  const face = el("span", { class: `avatar tint-${tint(id)}`, "aria-hidden": "true" });
  if (drawing) face.append(drawing);
  else face.textContent = initials(name);
  return face;
}

/**
 * Which of the six colours someone has, always the same.
 * @param {string} id
 */
export function tint(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.charCodeAt(0)) % 9973;
  return sum % 6;
}

/** @param {string} name */
function initials(name) {
  const words = name.trim().split(/\s+/u).filter((word) => /^\p{L}/u.test(word));
  const letters = words.slice(0, 2).map((word) => [...word][0]);
  return letters.join("").toLocaleUpperCase() || name.replace(/\D/gu, "").slice(-2) || "#";
}
