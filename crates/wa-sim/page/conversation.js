// @ts-check
/** The open chat: its header, its messages, and the actions for each message. */

import { api } from "./api.js";
import { makeBubble, ticks, whom } from "./bubble.js";
import { faceOf, fold, titleOf } from "./chats.js";
import { editMessage, quoteMessage } from "./composer.js";
import { attempt, confirmFirst, openMenu } from "./dialogs.js";
import { by, el, redraw, sync } from "./dom.js";
import { openGroup } from "./groups.js";
import { icon } from "./icons.js";
import { showPane } from "./pane.js";
import { day, say } from "./say.js";
import { groupOf, inHand, nameOf, openChat, state } from "./state.js";

/** @typedef {import("./chats.js").Entry} Entry */

/** The number of messages drawn before the user requests more. */
const DRAWN = 200;
const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

/** The chat drawn last, and the number of its messages drawn. */
let drawn = { chat: "", limit: DRAWN };
/** True if the newest message must stay visible while the chat grows: pictures load after their messages. */
let isAtEnd = true;

/** Keeps the end of the chat visible if the user is at the end. */
export function startConversation() {
  const log = by("log");
  log.addEventListener("scroll", () => {
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  });
  const sizes = new ResizeObserver(() => {
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
  sizes.observe(log);
  sizes.observe(by("bubbles"));
}

/** Draws the open chat. */
export function drawConversation() {
  const { phone, chat } = state;
  by("conversation-head").hidden = !chat;
  by("log").hidden = !chat;
  by("conversation-empty").hidden = Boolean(chat);
  redraw(by("conversation-empty"), "hello", () => el("div", {}, icon("phone"), el("h2", { text: say("choose_chat") }), el("p", { text: say("choose_chat_hint") })));
  if (!chat) return;
  drawHead(chat);
  const name = `${phone} ${chat}`;
  const isNew = drawn.chat !== name;
  if (isNew) drawn = { chat: name, limit: DRAWN };
  drawBubbles(fold(state.messages, chat), isNew);
}

/** @param {Entry[]} all @param {boolean} isNew */
function drawBubbles(all, isNew) {
  const shown = all.slice(-drawn.limit);
  /** @type {({ day: string } | { earlier: number } | Entry)[]} */
  const rows = all.length > shown.length ? [{ earlier: all.length - shown.length }] : [];
  let last = "";
  for (const message of shown) {
    const on = day(message.timestamp);
    if (on !== last) rows.push({ day: on });
    last = on;
    rows.push(message);
  }
  const lastId = by("bubbles").lastElementChild?.dataset.id;
  sync(by("bubbles"), rows, {
    key: (row) => ("earlier" in row ? "earlier" : "id" in row ? `${row.from} ${row.id}` : row.day),
    mark: (row) => ("id" in row ? markOf(row) : JSON.stringify(row)),
    make: (row) => ("id" in row ? makeBubble(row, openActions) : "earlier" in row ? makeEarlier(row.earlier) : el("li", { class: "day" }, el("span", { text: row.day }))),
  });
  const isOwnNews = shown.at(-1)?.from_me && shown.at(-1)?.id !== lastId;
  if (isNew || isOwnNews) isAtEnd = true;
  if (isAtEnd) by("log").scrollTop = by("log").scrollHeight;
}

/** Whatever a bubble shows, so that it is made anew when that changes. @param {Entry} message */
function markOf(message) {
  return JSON.stringify([message.text, message.edited, message.deleted, [...message.reactions], nameOf(message.from),
    message.from_me && ticks(message).state, message.quoted?.from && nameOf(message.quoted.from), message.media_error, state.phone]);
}

/** @param {number} count */
function makeEarlier(count) {
  const more = () => {
    drawn.limit += DRAWN;
    drawConversation();
  };
  return el("li", { class: "day" }, el("button", { type: "button", class: "plain", text: say("earlier", { n: count }), on: { click: more } }));
}

/** @param {string} chat */
function drawHead(chat) {
  const group = groupOf(chat);
  const isTyping = state.typing.has(`${state.phone} ${chat}`);
  const peer = state.phones.find((phone) => phone.number === chat);
  const about = group ? group.members.map(nameOf).join(", ") : `+${chat}${peer && !peer.online ? ` · ${say("switched_off")}` : ""}`;
  redraw(by("conversation-head"), JSON.stringify([chat, titleOf(chat), about, isTyping]), () => {
    const back = el("button", { type: "button", class: "quiet icon-only back", "aria-label": say("back_to_chats"), on: { click: () => { showPane("chats"); void openChat(null); } } }, icon("back"));
    const call = el("button", { type: "button", class: "quiet icon-only", "data-focus": "call", "aria-label": say("call"), title: say("call") }, icon("call"));
    const ring = (/** @type {boolean} */ video) => () => attempt(() => api.call(inHand()?.number ?? "", { ...whom(chat), video }), say("ringing", { name: titleOf(chat) }));
    call.addEventListener("click", () => openMenu(call, [
      { text: say("voice_call"), icon: "call", act: ring(false) },
      { text: say("video_call"), icon: "video", act: ring(true) },
    ]));
    return el("div", { class: "head-row" }, back, faceOf(chat),
      el("div", { class: "head-title" }, el("h2", { text: titleOf(chat), dir: "auto" }), el("p", { class: isTyping ? "typing" : "", text: isTyping ? say("typing") : about, dir: "auto" })),
      chat !== state.phone && call,
      group && el("button", { type: "button", class: "quiet icon-only", "data-focus": "group", "aria-label": say("group_details"), title: say("group_details"), on: { click: () => openGroup(chat) } }, icon("info")));
  });
}

/** @param {Entry} message @param {HTMLElement} at */
function openActions(message, at) {
  const { phone } = state;
  if (!phone) return;
  const send = (/** @type {Record<string, unknown>} */ what) => attempt(() => api.send(phone, { ...whom(message.chat), ...what }));
  const own = message.reactions.get(phone);
  const emojis = el("div", { class: "emojis", role: "group", "aria-label": say("react") }, ...EMOJIS.map((emoji) => el("button", {
    type: "button", text: emoji, "aria-pressed": String(own === emoji), "aria-label": say("react_with", { emoji }),
    on: { click: () => send({ reaction: { id: message.id, emoji: own === emoji ? "" : emoji } }) },
  })));
  const items = [{ text: say("reply"), icon: "back", act: () => quoteMessage(message) }];
  if (message.from_me && message.kind === "text") items.push({ text: say("edit"), icon: "document", act: () => editMessage(message) });
  if (message.from_me) {
    items.push(/** @type {any} */ ({ text: say("delete"), icon: "close", danger: true, act: () => confirmFirst(say("delete"), say("delete_sure"), say("delete"), () => api.send(phone, { ...whom(message.chat), revoke: message.id })) }));
  }
  const receipts = message.from_me && (message.read_by ?? message.delivered_to) && el("p", { class: "small faint", text: seenBy(message) });
  openMenu(at, items, el("div", {}, emojis, receipts));
}

/** @param {Entry} message */
function seenBy(message) {
  const names = (/** @type {string[]} */ list) => list.map(nameOf).join(", ");
  const read = message.read_by ?? [];
  return read.length > 0 ? say("read_by", { names: names(read) }) : say("delivered_to", { names: names(message.delivered_to ?? []) });
}
