// @ts-check
/** The panel for the faults of the simulator. */

import { api } from "./api.js";
import { attempt, tellError } from "./dialogs.js";
import { by, el, redraw } from "./dom.js";
import { say } from "./say.js";

/** @typedef {import("./words.js").Key} Key */

export const faults = {
  /** The current faults. @type {any} */
  now: null,
  /** The address for clients, and the key to pin. @type {{ ws_url: string, server_key: string } | null} */
  key: null,
};

/** Faults with a number: name, label, hint, maximum. @type {[string, Key, Key, number][]} */
const NUMBERS = [
  ["ack_delay_ms", "ack_delay", "ack_delay_hint", 3_600_000],
  ["drop_acks", "drop_acks", "drop_acks_hint", 1_000_000],
  ["nack", "nack", "nack_hint", 1_000_000],
  ["nack_code", "nack_code", "nack_code_hint", 65_535],
  ["undecryptable", "undecryptable", "undecryptable_hint", 1_000_000],
  ["garble", "garble", "garble_hint", 1_000_000],
];

/** Faults that are on or off: name, label, hint. @type {[string, Key, Key][]} */
const SWITCHES = [
  ["dedupe", "dedupe", "dedupe_hint"],
  ["refuse_ik", "refuse_ik", "refuse_ik_hint"],
  ["outdated", "outdated", "outdated_hint"],
];

/** Certificates for TLS connections: value, label. @type {[string, Key][]} */
const CERTIFICATES = [
  ["valid", "certificate_valid"],
  ["unknown_ca", "certificate_unknown_ca"],
  ["wrong_name", "certificate_wrong_name"],
  ["expired", "certificate_expired"],
  ["not_yet_valid", "certificate_not_yet_valid"],
];

/** The most common error code of real servers for a refused message. */
const USUAL_NACK = 479;

const QUIET = { ack_delay_ms: 0, drop_acks: 0, nack: 0, nack_code: 0, undecryptable: 0, garble: 0, dedupe: false, refuse_ik: false, outdated: false, certificate: "valid", stalled: [], bans: {} };

/** Reads the faults; some count down while messages are sent. */
export async function readFaults() {
  try {
    [faults.now, faults.key] = await Promise.all([api.faults(), faults.key ?? api.key()]);
  } catch (error) {
    tellError(error);
  }
  drawFaults();
}

/** Returns true if a fault is on. */
function isAnyOn() {
  return faults.now && Object.entries(QUIET).some(([fault, quiet]) => fault !== "nack_code" && JSON.stringify(faults.now[fault]) !== JSON.stringify(quiet));
}

/** @param {Record<string, unknown>} changes */
async function turn(changes) {
  await attempt(async () => {
    faults.now = await api.setFaults(changes);
  });
  drawFaults();
}

/** Draws the panel. */
export function drawFaults() {
  const on = Boolean(isAnyOn());
  by("tab-faults")?.classList.toggle("has-news", on);
  redraw(by("panel-faults"), JSON.stringify(faults.now), () => (faults.now ? make(on) : el("p", { class: "faint", text: say("loading") })));
}

/** @param {boolean} on */
function make(on) {
  const numbers = NUMBERS.map(([fault, text, hint, max]) => {
    const input = el("input", { type: "number", min: 0, max, required: true, value: String(faults.now[fault]), "data-focus": fault });
    input.addEventListener("change", () => {
      if (!input.reportValidity()) return;
      // Without a code the server refuses nothing, so set the usual code first.
      const code = fault === "nack" && faults.now.nack_code === 0 ? { nack_code: USUAL_NACK } : {};
      void turn({ [fault]: Number(input.value), ...code });
    });
    return el("label", { class: "fault" }, el("span", { class: "row-main" }, el("span", { text: say(text) }), el("small", { text: say(hint) })), input);
  });
  const switches = SWITCHES.map(([fault, text, hint]) => {
    const box = el("input", { type: "checkbox", role: "switch", "data-focus": fault });
    box.checked = faults.now[fault];
    box.addEventListener("change", () => void turn({ [fault]: box.checked }));
    return el("label", { class: "switch" }, box, el("span", { class: "row-main" }, el("span", { text: say(text) }), el("small", { text: say(hint) })));
  });
  const certificate = el("select", { "data-focus": "certificate" }, ...CERTIFICATES.map(([value, text]) => el("option", { value, text: say(text), selected: faults.now.certificate === value })));
  certificate.addEventListener("change", () => void turn({ certificate: certificate.value }));
  return el("div", { class: "stack" }, el("p", { class: on ? "notice" : "faint small", text: say(on ? "faults_on" : "faults_off") }),
    el("section", {}, ...numbers), el("section", {}, ...switches),
    el("section", {}, el("label", { class: "field" }, el("span", { text: say("certificate") }), certificate, el("small", { text: say("certificate_hint") }))),
    el("button", { type: "button", class: "plain", "data-focus": "reset", disabled: !on, text: say("faults_reset"), on: { click: () => turn(QUIET) } }));
}
