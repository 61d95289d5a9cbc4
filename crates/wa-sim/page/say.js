// @ts-check
/** Texts of the page in the user's language. */

import { recall, remember } from "./look.js";
import { words } from "./words.js";

/** @typedef {"id" | "en"} Language */

/** @type {Language} */
let language = preferred();

/** @returns {Language} */
function preferred() {
  const chosen = recall("language");
  if (chosen === "id" || chosen === "en") return chosen;
  // Indonesian is the default. English applies if the browser prefers English to Indonesian.
  const first = navigator.languages.find((tag) => /^(id|in|ms|jv|su|en)\b/iu.test(tag)) ?? "id";
  return /^en\b/iu.test(first) ? "en" : "id";
}

/** Returns the current language. */
export function spoken() {
  return language;
}

/** Switches to the other language. */
export function switchLanguage() {
  language = language === "id" ? "en" : "id";
  remember("language", language);
}

/**
 * Returns a text with `{name}` filled in.
 * @param {keyof typeof words} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  const text = words[key][language === "id" ? 0 : 1];
  return text.replace(/\{(\w+)\}/gu, (_, name) => String(values[name] ?? ""));
}

/** Fills the fixed parts of the page. */
export function translate() {
  document.documentElement.lang = language;
  document.title = `wa-sim – ${say("page_title")}`;
  /** @type {[string, (node: Element, text: string) => void][]} */
  const places = [
    ["data-say", (node, text) => { node.textContent = text; }],
    ["data-say-label", (node, text) => { node.setAttribute("aria-label", text); }],
  ];
  for (const [name, put] of places) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      put(node, say(/** @type {keyof typeof words} */ (node.getAttribute(name))));
    }
  }
}

/** @param {number} seconds */
export function clock(seconds) {
  return new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" }).format(seconds * 1000);
}

/** @param {number} seconds */
export function day(seconds) {
  const date = new Date(seconds * 1000);
  const midnight = new Date().setHours(0, 0, 0, 0);
  const days = Math.floor((midnight - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return say("today");
  if (days === 1) return say("yesterday");
  return new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(date);
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const [value, unit] = bytes < 1024 * 1024 ? [bytes / 1024, "KiB"] : [bytes / 1024 / 1024, "MiB"];
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value)} ${unit}`;
}
