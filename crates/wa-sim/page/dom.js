// @ts-check
/** Functions that build the page. Content from phones becomes text nodes and properties, never markup. */

/**
 * Returns an element. `on` has listeners, `text` has the text, a boolean sets or omits an attribute.
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
 * Returns the element of `index.html` with this id.
 * @param {string} id
 * @returns {any}
 */
export function by(id) {
  return document.getElementById(id);
}

/** @type {WeakMap<Element, { key: string, mark: string }>} */
const made = new WeakMap();
let age = 0;

/** Marks all drawn parts as outdated, after a change of the language. */
export function outdate() {
  age += 1;
}

/**
 * Replaces the children of `parent` by `items`. A child without a change keeps its node, so players continue and the
 * focus stays.
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
 * Replaces `old` by `fresh` and restores the focus on the control with the same `data-focus`.
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
 * Redraws a whole part after a change of its data.
 * @param {Element} parent
 * @param {string} mark
 * @param {() => Element} make
 */
export function redraw(parent, mark, make) {
  sync(parent, [mark], { key: () => "all", mark: (it) => it, make });
}

/**
 * Returns an avatar: two letters of a name or number on one of six colours.
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
 * Returns the colour of a name, always the same of six.
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
