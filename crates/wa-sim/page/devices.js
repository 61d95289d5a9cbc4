// @ts-check
/** The chosen phone and its linked devices: settings, and faults of each device. */

import { api } from "./api.js";
import { attempt, confirmFirst } from "./dialogs.js";
import { by, el, redraw } from "./dom.js";
import { drawFaults, faults } from "./faults.js";
import { icon } from "./icons.js";
import { openLink } from "./link.js";
import { say } from "./say.js";
import { inHand, state } from "./state.js";

/** The reason code (sent to too many people) and the duration (an hour) of a ban set on the page. */
const BAN = { code: 101, expire_s: 3600 };

/** Which receipts there are to choose from. @type {[string, import("./words.js").Key][]} */
const RECEIPTS = [["read", "receipts_read"], ["delivered", "receipts_delivered"], ["none", "receipts_none"]];

/**
 * Returns a switch.
 * @param {string} text
 * @param {boolean} on
 * @param {(on: boolean) => void} turn
 * @param {string} [hint]
 * @param {boolean} [disabled]
 */
function makeSwitch(text, on, turn, hint, disabled) {
  const box = el("input", { type: "checkbox", role: "switch", "data-focus": text, disabled });
  box.checked = on;
  box.addEventListener("change", () => turn(box.checked));
  return el("label", { class: "switch" }, box, el("span", { class: "row-main" }, el("span", { text }), hint && el("small", { text: hint })));
}

/** Draws the panel. */
export function drawDevices() {
  const phone = inHand();
  const bans = Object.keys(faults.now?.bans ?? {});
  const mark = JSON.stringify([phone && { ...phone, unread: 0, messages: 0 }, faults.now?.stalled, bans, state.readsOnOpening, state.waiting.length, faults.key]);
  redraw(by("panel-phone"), mark, () => (phone ? make(phone) : el("p", { class: "faint", text: say("no_phone_chosen") })));
}

/** @param {import("./api.js").Phone} phone */
function make(phone) {
  const isBanned = Boolean(faults.now?.bans[phone.number]);
  const habit = (/** @type {Record<string, unknown>} */ change) => attempt(() => api.setHabits(phone.number, change));
  const receipts = el("select", { "data-focus": "receipts" }, ...RECEIPTS.map(([value, key]) => el("option", { value, text: say(key), selected: phone.receipts === value })));
  receipts.addEventListener("change", () => habit({ receipts: receipts.value }));
  return el("div", { class: "stack" },
    el("section", {}, el("h3", { text: phone.name, dir: "auto" }),
      makeSwitch(say("online"), phone.online, (online) => habit({ online }), say("online_hint")),
      makeSwitch(say("reads_on_opening"), state.readsOnOpening, (on) => { state.readsOnOpening = on; }, say("reads_on_opening_hint")),
      el("label", { class: "field" }, el("span", { text: say("receipts") }), receipts),
      makeSwitch(say("banned"), isBanned, (on) => void ban(phone, on), say("banned_hint"), !faults.now)),
    el("section", {}, el("div", { class: "head-row" }, el("h3", { text: say("devices") }),
      el("button", { type: "button", class: "plain", "data-focus": "link", text: say("link_client"), on: { click: () => openLink() } })),
    phone.devices.length > 0 ? el("ul", { class: "devices" }, ...phone.devices.map(makeDevice)) : makeNone()));
}

/** Draws the addresses for a client, for a phone without a linked client. */
function makeNone() {
  const { key } = faults;
  return el("div", {}, el("p", { class: "faint", text: say("no_devices") }),
    key && el("dl", { class: "facts" }, el("dt", { text: say("ws_url") }), el("dd", {}, el("code", { text: key.ws_url })),
      el("dt", { text: say("server_key") }), el("dd", {}, el("code", { text: key.server_key }))));
}

/** @param {import("./api.js").Device} device */
function makeDevice(device) {
  const isStalled = Boolean(faults.now?.stalled.includes(device.id));
  const button = (/** @type {string} */ text, /** @type {() => void} */ act, how = "plain") => el("button", { type: "button", class: how, text, "data-focus": `${device.id} ${text}`, "aria-label": `${text}: ${device.id}`, on: { click: act } });
  return el("li", { class: "device" },
    el("div", { class: "head-row" }, icon("device"), el("span", { class: "row-main" }, el("span", { class: "row-title", text: device.platform, dir: "auto" }), el("span", { class: "row-last", text: device.id })),
      el("span", { class: `state ${device.connected ? "good" : "off"}`, text: say(device.connected ? "connected" : "not_connected") })),
    makeSwitch(say("stalled"), isStalled, (on) => void stall(device.id, on), say("stalled_hint"), !faults.now),
    el("div", { class: "buttons" },
      button(say("drop_clean"), () => attempt(() => api.drop(device.id, "clean"), say("dropped"))),
      button(say("drop_abrupt"), () => attempt(() => api.drop(device.id, "abrupt"), say("dropped"))),
      button(say("replace"), () => attempt(() => api.replace(device.id), say("replaced"))),
      button(say("logout"), () => confirmFirst(say("logout"), say("logout_sure", { device: device.id }), say("logout"), () => api.logout(device.id)), "plain bad")));
}

/** @param {string} id @param {boolean} on */
async function stall(id, on) {
  await attempt(async () => {
    const { stalled } = await api.faults();
    const others = stalled.filter((/** @type {string} */ other) => other !== id);
    faults.now = await api.setFaults({ stalled: on ? [...others, id] : others });
  });
  redrawAll();
}

/** Logins are refused from then on; whoever is in is thrown out. @param {import("./api.js").Phone} phone @param {boolean} on */
async function ban(phone, on) {
  await attempt(async () => {
    const { bans } = await api.faults();
    delete bans[phone.number];
    faults.now = await api.setFaults({ bans: on ? { ...bans, [phone.number]: BAN } : bans });
    if (on) await Promise.all(phone.devices.map((device) => api.drop(device.id, "clean")));
  });
  redrawAll();
}

function redrawAll() {
  drawDevices();
  drawFaults();
}
