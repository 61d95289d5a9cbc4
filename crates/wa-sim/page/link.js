// @ts-check
/** The dialog that links a client to the chosen phone: with the QR code's text or picture, or with eight characters. */

import { api } from "./api.js";
import { openDialog, tell } from "./dialogs.js";
import { el, redraw } from "./dom.js";
import { say } from "./say.js";
import { inHand, state } from "./state.js";

/** @typedef {{ detect: (source: ImageBitmap) => Promise<{ rawValue: string }[]> }} Detector */

/** Redraws the waiting clients while the dialog is open. */
let drawWaiting = () => {};

/** Draws the waiting clients in the open dialog. */
export function drawLink() {
  drawWaiting();
}

/**
 * Returns the code as the client showed the code: browsers read a plus sign of an address as a blank, and codes have no blanks.
 * @param {string} code
 */
export function cleanCode(code) {
  return code.trim().replaceAll(" ", "+");
}

/**
 * Opens the dialog.
 * @param {string} [code] the text of a QR code
 */
export function openLink(code = "") {
  const phone = inHand();
  if (!phone) return;
  const input = el("textarea", { id: "scan-code", rows: 3, autofocus: true, value: code, spellcheck: "false", placeholder: "2@… / ABCD-1234" });
  const waiting = el("div", { class: "waiting", "aria-live": "polite" });
  const picture = "BarcodeDetector" in window ? makePicture(input) : null;
  drawWaiting = () => redraw(waiting, JSON.stringify([state.waiting, phone.number]), () => makeWaiting(phone.number));
  const dialog = openDialog({
    title: say("link_to", { name: phone.name }), action: say("link_client"),
    body: [el("label", { class: "field", for: "scan-code" }, el("span", { text: say("scan_code") }), input, el("small", { text: say("scan_hint") })),
      ...(picture ? [picture] : []), waiting],
    submit: async () => {
      const text = cleanCode(input.value);
      const isTyped = text.replace(/[^a-z0-9]/giu, "").length === 8;
      const device = isTyped ? await api.enterCode(phone.number, text) : await api.scan(phone.number, text);
      tell(say("linked", { device: device.id, platform: device.platform }));
    },
  });
  dialog.addEventListener("close", () => {
    drawWaiting = () => {};
  });
  drawWaiting();
}

/** @param {string} own */
function makeWaiting(own) {
  if (state.waiting.length === 0) return el("p", { class: "small faint", text: say("nobody_waits") });
  return el("div", {}, el("h3", { text: say("waiting_clients", { n: state.waiting.length }) }),
    el("ul", { class: "picks" }, ...state.waiting.map((client) => {
      const asks = client.code_for && client.code_for !== own ? say("waits_for_other", { number: `+${client.code_for}` }) : client.code_for ? say("waits_for_code") : say("waits_for_scan");
      return el("li", { class: "member" }, el("span", { class: "row-main" }, el("span", { class: "row-title", text: client.platform, dir: "auto" }), el("span", { class: "row-last", text: asks })));
    })), el("p", { class: "small faint", text: say("why_no_qr") }));
}

/** Reads the code off a picture, where the browser can: a file, or one that is pasted. @param {HTMLTextAreaElement} input */
function makePicture(input) {
  const file = el("input", { type: "file", accept: "image/*" });
  const said = el("small", { role: "status" });
  const read = async (/** @type {Blob | undefined} */ blob) => {
    if (!blob) return;
    const found = await detect(blob).catch(() => "");
    if (found) input.value = found;
    said.textContent = say(found ? "qr_found" : "qr_not_found");
  };
  file.addEventListener("change", () => void read(file.files[0]));
  input.addEventListener("paste", (event) => void read(event.clipboardData?.files[0]));
  return el("label", { class: "field" }, el("span", { text: say("qr_picture") }), file, said);
}

/** @param {Blob} blob */
async function detect(blob) {
  const { BarcodeDetector } = /** @type {{ BarcodeDetector: new (how: object) => Detector }} */ (/** @type {unknown} */ (window));
  const found = await new BarcodeDetector({ formats: ["qr_code"] }).detect(await createImageBitmap(blob));
  return found[0]?.rawValue ?? "";
}
