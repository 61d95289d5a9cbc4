// @ts-check
/** Draws a message as a phone shows the message. */

import { api, fileOf } from "./api.js";
import { inShort, titleOf } from "./chats.js";
import { attempt } from "./dialogs.js";
import { el, tint } from "./dom.js";
import { icon } from "./icons.js";
import { clock, say, size } from "./say.js";
import { groupOf, inHand, nameOf, state } from "./state.js";

/** @typedef {import("./chats.js").Entry} Entry */

/** Where something goes: to a group or to a number. @param {string} chat */
export function whom(chat) {
  return groupOf(chat) ? { groupid: chat } : { to: chat };
}

/**
 * Returns the delivery state of an own message: a state counts after every member of the chat has reached the state.
 * @param {Entry} message
 * @returns {{ word: import("./words.js").Key, drawing: string, state: string }}
 */
export function ticks(message) {
  const members = groupOf(message.chat)?.members.filter((number) => number !== state.phone);
  const readers = members ?? [message.chat];
  const all = (/** @type {string[] | undefined} */ list) => readers.length > 0 && readers.every((number) => list?.includes(number));
  if (all(message.read_by)) return { word: "tick_read", drawing: "checks", state: "read" };
  if (all(message.delivered_to)) return { word: "tick_delivered", drawing: "checks", state: "delivered" };
  return { word: "tick_sent", drawing: "check", state: "sent" };
}

/**
 * @param {Entry} message
 * @param {(message: Entry, at: HTMLElement) => void} openActions
 */
export function makeBubble(message, openActions) {
  const inGroup = groupOf(message.chat) && !message.from_me;
  const more = el("button", { type: "button", class: "quiet icon-only more", "data-focus": "more", "aria-label": say("message_actions"), "aria-haspopup": "true" }, icon("more"));
  more.addEventListener("click", () => openActions(message, more));
  const sender = message.from_me ? say("you") : nameOf(message.from);
  return el("li", { class: `line ${message.from_me ? "out" : "in"}`, "data-id": message.id },
    el("div", { class: `bubble kind-${known(message)}` },
      el("span", { class: inGroup ? `sender ink-${tint(message.from)}` : "hidden", text: sender, dir: "auto" }),
      !message.deleted && message.quoted && makeQuote(message.quoted),
      ...(message.deleted ? [el("p", { class: "faint", text: say("deleted") })] : content(message)),
      makeFoot(message),
      message.reactions.size > 0 && !message.deleted && makeReactions(message)),
    !message.deleted && more);
}

/** @param {Entry} message */
function known(message) {
  return ["image", "video", "sticker"].includes(message.kind) && !message.deleted ? message.kind : "words";
}

/** @param {{ from: string | null, kind: string, text: string }} quoted */
export function makeQuote(quoted) {
  const from = quoted.from === state.phone ? say("you") : quoted.from ? nameOf(quoted.from) : "";
  return el("blockquote", { class: "quote" }, from && el("span", { class: "quote-from", text: from, dir: "auto" }),
    el("span", { class: "quote-text", text: inShort(quoted), dir: "auto" }));
}

/** @param {Entry} message */
function makeFoot(message) {
  const foot = el("span", { class: "foot" }, message.edited && el("span", { text: say("edited") }),
    el("time", { datetime: new Date(message.timestamp * 1000).toISOString(), text: clock(message.timestamp) }));
  if (message.from_me && message.chat !== state.phone) {
    const { word, drawing, state: how } = ticks(message);
    foot.append(el("span", { class: `tick ${how}`, "data-tick": how, title: say(word) }, icon(drawing), el("span", { class: "hidden", text: say(word) })));
  }
  return foot;
}

/** @param {Entry} message */
function makeReactions(message) {
  const list = el("ul", { class: "reactions", "aria-label": say("reactions") });
  for (const [from, emoji] of message.reactions) {
    const name = from === state.phone ? say("you") : nameOf(from);
    list.append(el("li", { title: name }, el("span", { text: emoji }), el("span", { class: "hidden", text: ` ${name}` })));
  }
  return list;
}

/**
 * @param {Entry} message
 * @returns {(Node | false | "" | undefined)[]}
 */
function content(message) {
  const words = message.text && el("p", { class: "words", text: message.text, dir: "auto" });
  switch (message.kind) {
    case "text":
      return [words || el("p", { class: "words", text: " " })];
    case "image": case "sticker": case "video": case "audio": case "document":
      return [makeFile(message), words];
    case "location":
      return [makePlace(message), words];
    case "contact":
      return [makeContacts([{ display_name: message.display_name, vcard: message.vcard }])];
    case "contacts":
      return [makeContacts(message.contacts ?? [])];
    case "poll":
      return [words, el("ul", { class: "options" }, ...(message.options ?? []).map((/** @type {unknown} */ option) => el("li", { text: String(option), dir: "auto" })))];
    case "buttons": case "list": case "template": case "interactive":
      return [words, makeOptions(message)];
    case "answer":
      return [el("p", { class: "faint small", text: say("chose") }), words];
    default:
      return [el("p", { class: "faint", text: say("other_kind", { kind: message.kind }) }), words];
  }
}

/** @param {Entry} message */
function makeFile(message) {
  if (message.media_error) return el("p", { class: "problem" }, icon("info"), el("span", { text: say("media_error", { reason: message.media_error }) }));
  const url = fileOf(state.phone ?? "", message.id);
  const name = message.file_name || `${message.kind}-${message.id}`;
  const about = message.text || say(message.kind === "sticker" ? "kind_sticker" : "kind_image");
  if (message.kind === "image" || message.kind === "sticker") {
    const picture = el("img", { class: "picture", src: url, alt: about, loading: "lazy", width: message.width, height: message.height });
    picture.addEventListener("error", () => picture.replaceWith(makeDocument(url, name, message.size)));
    return el("a", { class: "picture-link", href: url, target: "_blank", rel: "noopener noreferrer" }, picture);
  }
  if (message.kind === "video") return el("video", { class: "picture", src: url, controls: true, preload: "metadata", "aria-label": say("kind_video") });
  if (message.kind === "audio") {
    return el("span", { class: "sound" }, icon(message.voice ? "microphone" : "music"),
      el("audio", { src: url, controls: true, preload: "metadata", "aria-label": say(message.voice ? "kind_voice" : "kind_audio") }));
  }
  return makeDocument(url, name, message.size);
}

/** @param {string} url @param {string} name @param {number} bytes */
function makeDocument(url, name, bytes) {
  return el("a", { class: "document", href: url, download: name }, icon("document"),
    el("span", { class: "row-main" }, el("span", { class: "row-title", text: name, dir: "auto" }), el("span", { class: "row-last", text: size(bytes ?? 0) })), icon("save"));
}

/** @param {Entry} message */
function makePlace(message) {
  const [latitude, longitude] = [Number(message.latitude ?? 0), Number(message.longitude ?? 0)];
  return el("div", { class: "place" }, el("span", { class: "map", "aria-hidden": "true" }, icon("location")),
    el("span", { class: "row-main" }, el("span", { class: "row-title", text: message.name || say("kind_location"), dir: "auto" }),
      message.address && el("span", { class: "row-last", text: message.address, dir: "auto" }),
      el("span", { class: "row-last", text: `${latitude.toFixed(5)}, ${longitude.toFixed(5)}` })));
}

/** @param {{ display_name?: string, vcard?: string }[]} cards */
function makeContacts(cards) {
  return el("ul", { class: "cards" }, ...cards.map((card) => {
    const lines = (card.vcard ?? "").split(/\r?\n/u).filter((line) => /^(item\d+\.)?TEL/iu.test(line));
    const numbers = lines.map((line) => line.slice(line.indexOf(":") + 1));
    return el("li", {}, icon("contact"), el("span", { class: "row-main" }, el("span", { class: "row-title", text: card.display_name ?? "", dir: "auto" }),
      ...numbers.map((number) => el("span", { class: "row-last", text: number }))));
  }));
}

/** What can be chosen; on the phone that sent it, it is only shown. @param {Entry} message */
function makeOptions(message) {
  const answer = (/** @type {{ id: string, title: string }} */ option) => attempt(() => api.send(inHand()?.number ?? "", {
    ...whom(message.chat), quote: message.id, answer: { to: message.kind, id: option.id, title: option.title },
  }), say("answered", { name: titleOf(message.chat) }));
  return el("ul", { class: "options" }, ...(message.options ?? []).map((/** @type {any} */ option, /** @type {number} */ index) => el("li", {},
    el("button", { type: "button", class: "option", disabled: message.from_me, "data-focus": `option-${index}`, on: { click: () => answer(option) } },
      el("span", { text: option.title ?? "", dir: "auto" }), option.description && el("small", { text: option.description, dir: "auto" })))));
}
