// @ts-check
/** The wire log: every stanza between the simulator and its clients, while the panel is visible. */

import { follow } from "./api.js";
import { by, el } from "./dom.js";
import { say, size, spoken } from "./say.js";

/** The number of stanzas that the page keeps. */
const KEPT = 500;

/** @type {import("./api.js").Stanza[]} */
let kept = [];
/** @type {EventSource | null} */
let source = null;
let isPaused = false;
let device = "";
let last = 0;

/** Follows the wire while `on`: browsers allow a page few streams at once. @param {boolean} on */
export function watchWire(on) {
  if (!on) {
    source?.close();
    source = null;
    return;
  }
  source ??= follow("wire", { said: heard });
}

/** @param {import("./api.js").Stanza & { missed?: number }} stanza */
function heard(stanza) {
  // After a reconnect the stream begins with stanzas that the page already has.
  if (isPaused || stanza.missed || stanza.number <= last) return;
  last = stanza.number;
  kept.push(stanza);
  const list = by("stanzas");
  if (!list) return;
  if (isWanted(stanza)) list.append(makeStanza(stanza));
  if (kept.length > KEPT) kept = kept.slice(-KEPT);
  while (list.childElementCount > KEPT) list.firstElementChild?.remove();
  by("wire-empty").hidden = list.childElementCount > 0;
  const scroller = by("wire-log");
  if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 200) scroller.scrollTop = scroller.scrollHeight;
  addDevice(stanza.device);
}

/** @param {import("./api.js").Stanza} stanza */
function isWanted(stanza) {
  return !device || stanza.device === device;
}

/** @param {string} name */
function addDevice(name) {
  const select = by("wire-device");
  if (![...select.options].some((option) => option.value === name)) {
    select.append(el("option", { value: name, text: name === "unpaired" ? say("unpaired") : name }));
  }
}

/** Draws the panel with all kept stanzas. */
export function drawWire() {
  const select = el("select", { id: "wire-device" }, el("option", { value: "", text: say("all_devices") }));
  select.addEventListener("change", () => {
    device = select.value;
    fill();
  });
  const pause = el("button", { type: "button", class: "plain", id: "wire-pause" });
  const drawPause = () => {
    pause.textContent = say(isPaused ? "go_on" : "pause");
    pause.setAttribute("aria-pressed", String(isPaused));
  };
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    drawPause();
  });
  drawPause();
  const clear = el("button", { type: "button", class: "plain", text: say("clear"), on: { click: () => { kept = []; fill(); } } });
  by("panel-wire").replaceChildren(
    el("div", { class: "wire-bar" }, el("label", { class: "field" }, el("span", { text: say("device") }), select), pause, clear),
    el("p", { class: "faint", id: "wire-empty", text: say("wire_empty") }),
    el("div", { class: "wire-log", id: "wire-log", tabindex: 0, role: "region", "aria-label": say("wire") }, el("ol", { id: "stanzas" })));
  for (const stanza of kept) addDevice(stanza.device);
  select.value = device;
  fill();
}

function fill() {
  const shown = kept.filter(isWanted);
  by("stanzas").replaceChildren(...shown.map(makeStanza));
  by("wire-empty").hidden = shown.length > 0;
  by("wire-log").scrollTop = by("wire-log").scrollHeight;
}

/** @param {import("./api.js").Stanza} stanza */
function makeStanza(stanza) {
  const isOut = stanza.from === "server";
  const time = new Intl.DateTimeFormat(spoken(), { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(stanza.at_ms);
  return el("li", {}, el("details", { class: isOut ? "stanza down" : "stanza up" },
    el("summary", {}, el("span", { class: "arrow", text: isOut ? "↓" : "↑", title: say(isOut ? "to_device" : "from_device") }), el("span", { class: "hidden", text: say(isOut ? "to_device" : "from_device") }),
      el("code", { class: "gist", text: stanza.text.slice(0, 160) }),
      el("span", { class: "stanza-meta", text: [time, stanza.device === "unpaired" ? say("unpaired") : stanza.device, size(stanza.bytes), stanza.ignored && say("ignored")].filter(Boolean).join(" · ") })),
    el("pre", { text: indented(stanza.text) })));
}

/** A node on a line, deeper ones further in. @param {string} text */
function indented(text) {
  let depth = 0;
  const lines = text.replace(/></gu, ">\n<").split("\n").map((line) => {
    if (line.startsWith("</")) depth = Math.max(0, depth - 1);
    const shown = "  ".repeat(depth) + line;
    const closes = line.endsWith("/>") || line.includes("</");
    if (!closes) depth += 1;
    return shown;
  });
  return lines.join("\n");
}
