// @ts-check
/** The form for sending texts, files, locations and contacts. */

import { api } from "./api.js";
import { makeQuote, whom } from "./bubble.js";
import { field, openDialog, openMenu, tellError } from "./dialogs.js";
import { by, el, redraw } from "./dom.js";
import { icon } from "./icons.js";
import { say, size } from "./say.js";
import { groupOf, inHand, state } from "./state.js";

/** @typedef {import("./chats.js").Entry} Entry */

/** The largest file that the simulator accepts, in bytes. */
const MAX_FILE = 100 * 1024 * 1024;

/** What the next words are about. @type {{ how: "quote" | "edit", message: Entry } | null} */
let about = null;
/** What was written and not sent, by phone and chat. @type {Map<string, string>} */
const drafts = new Map();
let drawn = "";

/** @param {Entry} message */
export function quoteMessage(message) {
  about = { how: "quote", message };
  drawComposer();
  words().focus();
}

/** @param {Entry} message */
export function editMessage(message) {
  about = { how: "edit", message };
  drawComposer();
  words().value = message.text;
  words().focus();
}

/** @returns {HTMLTextAreaElement} */
function words() {
  return by("composer").querySelector("textarea");
}

/** Draws the form and keeps the unsent text. */
export function drawComposer() {
  const { phone, chat } = state;
  const form = by("composer");
  form.hidden = !chat;
  const name = `${phone} ${chat}`;
  if (name !== drawn) {
    if (drawn && words()) drafts.set(drawn, words().value);
    about = null;
    drawn = name;
  }
  if (!chat) return;
  const group = groupOf(chat);
  const isOut = Boolean(group && !group.members.includes(phone ?? ""));
  redraw(form, JSON.stringify([name, isOut]), () => (isOut ? el("p", { class: "faint", text: say("not_a_member") }) : make()));
  if (isOut) return;
  redraw(by("about"), JSON.stringify([about?.how, about?.message.id]), makeAbout);
}

function make() {
  const attach = el("button", { type: "button", class: "quiet icon-only", "aria-label": say("attach"), title: say("attach") }, icon("attach"));
  attach.addEventListener("click", () => openMenu(attach, [
    { text: say("kind_image"), icon: "image", act: () => pick("image", "image/*") },
    { text: say("kind_video"), icon: "video", act: () => pick("video", "video/*") },
    { text: say("kind_audio"), icon: "music", act: () => pick("audio", "audio/*") },
    { text: say("kind_voice"), icon: "microphone", act: () => pick("voice", "audio/*") },
    { text: say("kind_document"), icon: "document", act: () => pick("document", "") },
    { text: say("kind_sticker"), icon: "smile", act: () => pick("sticker", "image/webp") },
    { text: say("kind_location"), icon: "location", act: sendPlace },
    { text: say("kind_contact"), icon: "contact", act: sendContact },
  ]));
  const input = el("textarea", { rows: 1, "aria-label": say("write"), placeholder: say("write"), dir: "auto", value: drafts.get(drawn) ?? "" });
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && about) forget();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void sendWords();
  });
  input.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    sendFile(file.type.startsWith("image/") ? "image" : "document", file);
  });
  const send = el("button", { type: "submit", class: "primary icon-only", "aria-label": say("send"), title: say("send") }, icon("send"));
  return el("div", { class: "composer-in" }, el("div", { id: "about" }), el("div", { class: "composer-row" }, attach, input, send));
}

/** Sends the text of the submitted form. */
export function startComposer() {
  by("composer").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    void sendWords();
  });
}

function makeAbout() {
  if (!about) return el("div");
  return el("div", { class: "about" }, el("span", { class: "about-how", text: say(about.how === "edit" ? "editing" : "replying") }),
    makeQuote(about.message), el("button", { type: "button", class: "quiet icon-only", "aria-label": say("cancel"), on: { click: forget } }, icon("close")));
}

function forget() {
  if (about?.how === "edit") words().value = "";
  about = null;
  drawComposer();
  words().focus();
}

/** @param {Record<string, unknown>} what */
async function send(what) {
  const { phone, chat } = state;
  if (!phone || !chat) return;
  const quote = about?.how === "quote" ? { quote: about.message.id } : {};
  about = null;
  drawComposer();
  await api.send(phone, { ...whom(chat), ...quote, ...what });
}

async function sendWords() {
  const input = words();
  const text = input.value.trim();
  if (!text) return;
  const edited = about?.how === "edit" ? about.message : null;
  input.value = "";
  try {
    await send(edited ? { edit: { id: edited.id, text } } : { text });
  } catch (error) {
    // Put the text back after a failed request, unless the user typed a new text.
    if (!input.value) input.value = text;
    tellError(error);
  }
}

/** @param {string} kind @param {string} accept */
function pick(kind, accept) {
  const input = el("input", { type: "file", accept, class: "hidden", "aria-label": say("choose_file"), tabindex: -1 });
  input.addEventListener("change", () => {
    if (input.files[0]) sendFile(kind, input.files[0]);
    input.remove();
  });
  input.addEventListener("cancel", () => input.remove());
  by("composer").append(input);
  input.click();
}

/** Shows a file before it goes. @param {string} kind @param {File} file */
function sendFile(kind, file) {
  const url = URL.createObjectURL(file);
  const show = { image: "img", sticker: "img", video: "video", audio: "audio", voice: "audio" }[kind];
  const preview = show && (show === "img" ? el("img", { class: "preview", src: url, alt: file.name }) : el(show, { class: "preview", src: url, controls: true, "aria-label": file.name }));
  const hasCaption = kind === "image" || kind === "video" || kind === "document";
  const caption = hasCaption && field(say("caption"), { autofocus: true });
  const dialog = openDialog({
    title: say("send_file"), action: say("send"),
    body: [preview, el("p", { class: "file-name" }, icon("document"), el("span", { text: file.name, dir: "auto" }), el("small", { text: size(file.size) })), caption && caption.node].filter(Boolean),
    submit: async () => {
      if (file.size > MAX_FILE) throw new Error(say("file_too_large"));
      const media = {
        kind: kind === "voice" ? "audio" : kind, voice: kind === "voice", base64: await base64(file),
        ...(file.type && { mimetype: file.type }), ...(kind === "document" && { file_name: file.name }),
        ...(caption && caption.input.value && { caption: caption.input.value }),
      };
      await send({ media });
    },
  });
  dialog.addEventListener("close", () => URL.revokeObjectURL(url));
}

/** @param {File} file @returns {Promise<string>} */
function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result).split(",")[1] ?? ""));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

function sendPlace() {
  const name = field(say("place_name"), { value: "Monas", autofocus: true });
  const latitude = field(say("latitude"), { type: "number", step: "any", min: -90, max: 90, required: true, value: "-6.1754" });
  const longitude = field(say("longitude"), { type: "number", step: "any", min: -180, max: 180, required: true, value: "106.8272" });
  openDialog({
    title: say("kind_location"), action: say("send"), body: [name.node, latitude.node, longitude.node],
    submit: () => send({ location: { latitude: Number(latitude.input.value), longitude: Number(longitude.input.value), ...(name.input.value && { name: name.input.value }) } }),
  });
}

function sendContact() {
  const own = inHand()?.number;
  const known = state.phones.filter((phone) => phone.number !== own);
  const name = field(say("name"), { required: true, autofocus: true, value: known[0]?.name ?? "" });
  const number = field(say("number"), { type: "tel", required: true, value: known[0]?.number ?? "" });
  openDialog({
    title: say("kind_contact"), action: say("send"), body: [name.node, number.node],
    submit: () => send({ contact: { name: name.input.value, numbers: [number.input.value.replace(/\D/gu, "")] } }),
  });
}
