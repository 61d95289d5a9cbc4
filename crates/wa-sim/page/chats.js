// @ts-check
/** The chats of the chosen phone: their messages with all changes applied, and the list of chats. */

import { avatar, by, el, redraw, sync } from "./dom.js";
import { attempt, field, openDialog, openMenu } from "./dialogs.js";
import { api } from "./api.js";
import { openCard } from "./groups.js";
import { icon } from "./icons.js";
import { openLink } from "./link.js";
import { clock, day, say } from "./say.js";
import { groupOf, inHand, nameOf, openChat, refreshGroups, state, unreadIn } from "./state.js";
import { showPane } from "./pane.js";
import { words } from "./words.js";

/**
 * A message with later reactions, edits and deletion.
 * @typedef {import("./api.js").Message & { reactions: Map<string, string>, edited?: boolean, deleted?: boolean }} Entry
 */

/**
 * Returns the messages of a chat, with reactions, edits and deletions applied.
 * @param {import("./api.js").Message[]} messages
 * @param {string} chat
 * @returns {Entry[]}
 */
export function fold(messages, chat) {
  /** @type {Map<string, Entry>} */
  const known = new Map();
  const shown = [];
  for (const message of messages) {
    if (message.chat !== chat) continue;
    const target = known.get(message.target_id);
    if (message.kind === "reaction") {
      if (!target) continue;
      if (message.text) target.reactions.set(message.from, message.text);
      else target.reactions.delete(message.from);
    } else if (message.kind === "edit") {
      // Only the author may edit a message.
      if (target?.from === message.from) Object.assign(target, { text: message.text, edited: true });
    } else if (message.kind === "revoke") {
      if (target) target.deleted = true;
    } else {
      const entry = { ...message, reactions: new Map() };
      known.set(message.id, entry);
      shown.push(entry);
    }
  }
  return shown;
}

/**
 * Returns a message as one line.
 * @param {{ kind: string, text: string, deleted?: boolean, display_name?: string, name?: string, file_name?: string }} message
 */
export function inShort(message) {
  if (message.deleted) return say("deleted");
  const name = named(message.kind);
  const text = message.text || message.file_name || message.display_name || message.name;
  if (!name) return text || message.kind;
  return text ? `${say(name)}: ${text}` : say(name);
}

/**
 * Returns the key of a kind's name; nothing for a text and for a kind without a name.
 * @param {string} kind
 */
function named(kind) {
  const key = `kind_${kind}`;
  return Object.hasOwn(words, key) ? /** @type {import("./words.js").Key} */ (key) : undefined;
}

/** @param {string} chat */
export function titleOf(chat) {
  if (chat === state.phone) return say("yourself", { name: nameOf(chat) });
  return groupOf(chat)?.name ?? nameOf(chat);
}

/** @param {string} chat */
export function faceOf(chat) {
  const group = groupOf(chat);
  return group ? avatar(group.name, chat, icon("group")) : avatar(nameOf(chat), chat);
}

function all() {
  const phone = inHand();
  if (!phone) return [];
  const groups = state.groups.filter((group) => group.members.includes(phone.number));
  /** @type {Map<string, import("./api.js").Message[]>} */
  const byChat = new Map(groups.map((group) => [group.groupid, []]));
  for (const message of state.messages) {
    const of = byChat.get(message.chat) ?? [];
    of.push(message);
    byChat.set(message.chat, of);
  }
  if (state.chat && !byChat.has(state.chat)) byChat.set(state.chat, []);
  const rows = [...byChat].map(([chat, messages]) => {
    const last = fold(messages, chat).at(-1);
    return { chat, last, at: messages.at(-1)?.timestamp ?? 0, unread: unreadIn(phone, chat), order: state.messages.lastIndexOf(messages.at(-1) ?? state.messages[0]) };
  });
  return rows.sort((a, b) => b.at - a.at || b.order - a.order);
}

/** Draws the list of chats and its header. */
export function drawChats() {
  const phone = inHand();
  const rows = all();
  drawHead();
  by("chats-empty").hidden = rows.length > 0;
  redraw(by("chats-empty"), String(!phone), () => el("p", { text: say(phone ? "no_chats" : "no_phone_chosen") }));
  sync(by("chat-list"), rows, {
    key: (row) => row.chat,
    mark: (row) => JSON.stringify([titleOf(row.chat), row.at, row.unread, row.last && [inShort(row.last), who(row.last)], row.chat === state.chat]),
    make: makeRow,
  });
}

/** @param {Entry} message */
function who(message) {
  if (message.from_me) return `${say("you")}: `;
  return groupOf(message.chat) ? `${nameOf(message.from)}: ` : "";
}

/** @param {{ chat: string, last?: Entry, at: number, unread: number }} row */
function makeRow({ chat, last, at, unread }) {
  const words = last ? who(last) + inShort(last) : say("no_messages");
  const when = at ? (day(at) === say("today") ? clock(at) : day(at)) : "";
  const open = () => {
    showPane("conversation");
    void openChat(chat);
    writeNext();
  };
  return el("li", {}, el("button", { type: "button", class: "row", "data-chat": chat, "data-focus": chat, "aria-current": chat === state.chat && "true", on: { click: open } },
    faceOf(chat),
    el("span", { class: "row-main" },
      el("span", { class: "row-line" }, el("span", { class: "row-title", text: titleOf(chat), dir: "auto" }), el("span", { class: "row-when", text: when })),
      el("span", { class: "row-line" }, el("span", { class: "row-last", text: words, dir: "auto" }), unread > 0 && badge(unread)))));
}

/** Focuses the text field after drawing, except on a touch screen, because the focus opens the screen keyboard. */
function writeNext() {
  if (matchMedia("(hover: hover)").matches) setTimeout(() => by("composer").querySelector("textarea")?.focus());
}

/** @param {number} count */
export function badge(count) {
  return el("span", { class: "badge" }, el("span", { text: String(count), "aria-hidden": "true" }),
    el("span", { class: "hidden", text: say("unread", { n: count }) }));
}

function drawHead() {
  const phone = inHand();
  by("chats-head").hidden = !phone;
  redraw(by("chats-head"), JSON.stringify([phone?.name, phone?.number]), () => {
    const back = el("button", { type: "button", class: "quiet icon-only back", "aria-label": say("back_to_phones"), on: { click: () => showPane("phones") } }, icon("back"));
    const link = el("button", { type: "button", class: "quiet icon-only", "aria-label": say("link_client"), title: say("link_client"), id: "link-open", on: { click: () => openLink() } }, icon("link"));
    const add = el("button", { type: "button", class: "quiet icon-only", "aria-label": say("new_chat"), title: say("new_chat"), id: "chat-add" }, icon("add"));
    add.addEventListener("click", () => openMenu(add, [
      { text: say("new_chat"), icon: "contact", act: newChat },
      { text: say("new_group"), icon: "group", act: newGroup },
    ]));
    return el("div", { class: "head-row" }, back,
      el("div", { class: "head-title" }, el("h2", { text: phone?.name ?? "", dir: "auto" }), el("p", { text: phone ? `+${phone.number}` : "" })), link, add);
  });
}

/** Opens the dialog to choose another phone or a number. */
function newChat() {
  const others = state.phones.filter((phone) => phone.number !== state.phone);
  const number = field(say("number"), { type: "tel", inputmode: "tel", list: "numbers", required: true, autofocus: true, placeholder: "628…" }, say("new_chat_hint"));
  const list = el("datalist", { id: "numbers" }, ...others.map((phone) => el("option", { value: phone.number, label: phone.name })));
  const open = (/** @type {string} */ chat) => {
    showPane("conversation");
    void openChat(chat);
    writeNext();
  };
  const dialog = openDialog({
    title: say("new_chat"), action: say("open"),
    body: [number.node, list, el("ul", { class: "picks" }, ...others.slice(0, 50).map((phone) => el("li", {},
      el("button", { type: "button", class: "row", on: { click: () => { dialog.close(); open(phone.number); } } },
        avatar(phone.name, phone.number), el("span", { class: "row-main" },
          el("span", { class: "row-title", text: phone.name, dir: "auto" }), el("span", { class: "row-last", text: `+${phone.number}` }))))))],
    submit: async () => open(number.input.value.replace(/\D/gu, "")),
  });
}

function newGroup() {
  const owner = inHand();
  if (!owner) return;
  const name = field(say("group_name"), { required: true, maxlength: 100, autofocus: true });
  const card = openCard([owner.number]);
  openDialog({
    title: say("new_group"), action: say("make_group"), body: [name.node, card.node],
    submit: async () => {
      const group = await api.addGroup({ name: name.input.value.trim(), owner: owner.number, members: card.chosen() });
      await attempt(refreshGroups);
      showPane("conversation");
      await openChat(group.groupid);
    },
  });
}
