// @ts-check
/** The knobs that make the simulator misbehave. */

import { api } from "./api.js";
import { attempt, tellError } from "./dialogs.js";
import { by, el, redraw } from "./dom.js";
import { say } from "./say.js";

/** @typedef {import("./words.js").Key} Key */

export const faults = {
  /** All knobs as they are. @type {any} */
  now: null,
  /** Where clients connect, and the key they pin. @type {{ ws_url: string, server_key: string } | null} */
  key: null,
};

/** Knobs that are numbers: name, words, hint, the most. @type {[string, Key, Key, number][]} */
const NUMBERS = [
  ["ack_delay_ms", "ack_delay", "ack_delay_hint", 3_600_000],
  ["drop_acks", "drop_acks", "drop_acks_hint", 1_000_000],
  ["nack", "nack", "nack_hint", 1_000_000],
  ["nack_code", "nack_code", "nack_code_hint", 65_535],
  ["undecryptable", "undecryptable", "undecryptable_hint", 1_000_000],
  ["garble", "garble", "garble_hint", 1_000_000],
];

/** Knobs that are on or off. @type {[string, Key, Key][]} */
const SWITCHES = [
  ["dedupe", "dedupe", "dedupe_hint"],
  ["refuse_ik", "refuse_ik", "refuse_ik_hint"],
  ["outdated", "outdated", "outdated_hint"],
];

/** What real servers say most to a client whose message they do not want. */
const USUAL_NACK = 479;

const QUIET = { ack_delay_ms: 0, drop_acks: 0, nack: 0, nack_code: 0, undecryptable: 0, garble: 0, dedupe: false, refuse_ik: false, outdated: false, stalled: [], bans: {} };

/** Reads the knobs: some count down while messages go. */
export async function readFaults() {
  try {
    [faults.now, faults.key] = await Promise.all([api.faults(), faults.key ?? api.key()]);
  } catch (error) {
    tellError(error);
  }
  drawFaults();
}

/** Whether anything is out of order on purpose. */
function isAnyOn() {
  return faults.now && Object.entries(QUIET).some(([knob, quiet]) => knob !== "nack_code" && JSON.stringify(faults.now[knob]) !== JSON.stringify(quiet));
}

/** @param {Record<string, unknown>} knobs */
async function turn(knobs) {
  await attempt(async () => {
    faults.now = await api.setFaults(knobs);
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
  const numbers = NUMBERS.map(([knob, text, hint, max]) => {
    const input = el("input", { type: "number", min: 0, max, required: true, value: String(faults.now[knob]), "data-focus": knob });
    input.addEventListener("change", () => {
      if (!input.reportValidity()) return;
      // A refusal without a code is none: the usual one, until another is chosen.
      const code = knob === "nack" && faults.now.nack_code === 0 ? { nack_code: USUAL_NACK } : {};
      void turn({ [knob]: Number(input.value), ...code });
    });
    return el("label", { class: "knob" }, el("span", { class: "row-main" }, el("span", { text: say(text) }), el("small", { text: say(hint) })), input);
  });
  const switches = SWITCHES.map(([knob, text, hint]) => {
    const box = el("input", { type: "checkbox", role: "switch", "data-focus": knob });
    box.checked = faults.now[knob];
    box.addEventListener("change", () => void turn({ [knob]: box.checked }));
    return el("label", { class: "switch" }, box, el("span", { class: "row-main" }, el("span", { text: say(text) }), el("small", { text: say(hint) })));
  });
  return el("div", { class: "stack" }, el("p", { class: on ? "notice" : "faint small", text: say(on ? "faults_on" : "faults_off") }),
    el("section", {}, ...numbers), el("section", {}, ...switches),
    el("button", { type: "button", class: "plain", "data-focus": "reset", disabled: !on, text: say("faults_reset"), on: { click: () => turn(QUIET) } }));
}
