// @ts-check
/** The data of the simulator on the page, updated by events. `changed` is called after each change. */

import { api, follow } from "./api.js";

/** @typedef {import("./api.js").Message} Message */

export const state = {
  /** @type {import("./api.js").Phone[]} */
  phones: [],
  /** @type {import("./api.js").Group[]} */
  groups: [],
  /** @type {import("./api.js").Waiting[]} */
  waiting: [],
  /** The number of the phone in hand. @type {string | null} */
  phone: null,
  /** Its open chat: a number or a group's id. @type {string | null} */
  chat: null,
  /** What the phone in hand shows, oldest first. @type {Message[]} */
  messages: [],
  /** The number of messages received while the chat was not visible, by phone and chat. @type {Map<string, number>} */
  unseen: new Map(),
  /** Chats with a typing contact: `phone chat`. @type {Map<string, number>} */
  typing: new Map(),
  ready: false,
  live: false,
  /** True if opening a chat marks the chat as read. */
  readsOnOpening: true,
};

/** The number of messages in the first request. */
const AT_FIRST = 2000;
/** The longest time to show a client as typing, because a client may send no end of typing. */
const TYPES_FOR = 8000;
/** Kinds of messages that change another message and are not counted as unread. */
const SILENT = new Set(["reaction", "edit", "revoke"]);

/** The number of stored receipts for messages that the page has not received yet. */
const REMEMBERED = 1000;

/** The number of the newest request for messages, and of the request shown. Results of older requests are discarded. */
let wanted = 0;
let shown = -1;
/** Receipts by message: a receipt can arrive before the page has read its message. @type {Map<string, { delivered: Set<string>, read: Set<string> }>} */
const receipts = new Map();
/** @type {() => void} */
let changed = () => {};
/** @type {(error: unknown) => void} */
let failed = () => {};

/**
 * Reads all data and then follows the events.
 * @param {{ changed: () => void, failed: (error: unknown) => void }} heard
 */
export function start(heard) {
  ({ changed, failed } = heard);
  follow("events", {
    said,
    // The stream also opens after a reconnect, and has no events of the time without a connection.
    opened: () => {
      state.live = true;
      void refreshAll();
    },
    lost: () => {
      state.live = false;
      changed();
    },
  });
}

/** Returns the chosen phone. */
export function inHand() {
  return state.phones.find((phone) => phone.number === state.phone);
}

/**
 * Returns the name for a number, or the number.
 * @param {string} number
 */
export function nameOf(number) {
  return state.phones.find((phone) => phone.number === number)?.name || `+${number}`;
}

/** @param {string} chat */
export function groupOf(chat) {
  return state.groups.find((group) => group.groupid === chat);
}

/**
 * Returns the number of unread messages of a chat.
 * @param {import("./api.js").Phone} phone
 * @param {string} chat
 */
export function unreadIn(phone, chat) {
  return Math.max(phone.unread[chat] ?? 0, state.unseen.get(`${phone.number} ${chat}`) ?? 0);
}

/** @param {import("./api.js").Phone} phone */
export function unreadOf(phone) {
  const own = [...state.unseen.keys()].filter((key) => key.startsWith(`${phone.number} `));
  const chats = new Set([...Object.keys(phone.unread), ...own.map((key) => key.split(" ")[1])]);
  return [...chats].reduce((sum, chat) => sum + unreadIn(phone, chat), 0);
}

/**
 * Chooses a phone.
 * @param {string | null} number
 */
export async function choosePhone(number) {
  if (state.phone === number) return;
  Object.assign(state, { phone: number, chat: null, messages: [] });
  receipts.clear();
  wanted += 1;
  changed();
  await refreshMessages();
}

/**
 * Opens a chat of the chosen phone.
 * @param {string | null} chat
 */
export async function openChat(chat) {
  state.chat = chat;
  changed();
  await readOpenChat();
}

async function readOpenChat() {
  const phone = inHand();
  const { chat } = state;
  if (!phone || !chat || document.hidden) return;
  if (state.unseen.delete(`${phone.number} ${chat}`)) changed();
  if (!state.readsOnOpening || !phone.unread[chat]) return;
  // Delete before the request, so that a burst of events causes one request.
  delete phone.unread[chat];
  await tried(() => api.read(phone.number, chat));
}

/** @param {() => Promise<unknown>} what */
async function tried(what) {
  try {
    await what();
  } catch (error) {
    failed(error);
  }
}

/**
 * Runs `what` now, or again after the current run: never twice at the same time.
 * @param {() => Promise<void>} what
 */
function oneAtATime(what) {
  /** @type {Promise<void> | null} */
  let running = null;
  let again = false;
  const run = async () => {
    do {
      again = false;
      await tried(what);
    } while (again);
    running = null;
    changed();
  };
  return () => {
    again = true;
    running ??= run();
    return running;
  };
}

export const refreshPhones = oneAtATime(async () => {
  state.phones = await api.phones();
  state.ready = true;
  await readOpenChat();
});

export const refreshGroups = oneAtATime(async () => {
  state.groups = await api.groups();
});

const refreshWaiting = oneAtATime(async () => {
  state.waiting = await api.waiting();
});

const refreshMessages = oneAtATime(async () => {
  const number = state.phone;
  if (!number) return;
  const reading = wanted;
  const last = reading === shown ? state.messages.at(-1) : undefined;
  const query = last ? `after=${encodeURIComponent(last.id)}` : `last=${AT_FIRST}`;
  const fresh = (await api.messages(number, query)).map(ticked);
  if (reading !== wanted) return;
  // If the phone no longer has the message `last`, the phone returns all its messages.
  const before = last ? state.messages : [];
  const known = new Set(before.map(nameOfMessage));
  state.messages = [...before, ...fresh.filter((message) => !known.has(nameOfMessage(message)))];
  shown = reading;
});

/** @param {Message} message */
function nameOfMessage(message) {
  return `${message.chat} ${message.from} ${message.id}`;
}

async function refreshAll() {
  wanted += 1;
  await Promise.all([refreshPhones(), refreshGroups(), refreshWaiting(), refreshMessages()]);
}

/** @param {any} event */
function said(event) {
  switch (event.type) {
    case "phone_message":
      arrived(event);
      break;
    case "receipt":
      receipted(event);
      break;
    case "chat_state":
      types(event);
      break;
    case "paired": case "logged_in": case "disconnected": case "logged_out": case "phone_added": case "phone_changed":
      void refreshPhones();
      break;
    case "group_changed":
      void refreshGroups();
      break;
    case "waiting":
      void refreshWaiting();
      break;
    case "missed":
      void refreshAll();
      break;
    default:
  }
}

/** @param {{ phone: string, chat: string, from: string, kind: string }} event */
function arrived(event) {
  const isOpen = event.phone === state.phone && event.chat === state.chat && !document.hidden;
  if (event.from !== event.phone && !isOpen && !SILENT.has(event.kind)) {
    const key = `${event.phone} ${event.chat}`;
    state.unseen.set(key, (state.unseen.get(key) ?? 0) + 1);
  }
  state.typing.delete(`${event.phone} ${event.chat}`);
  if (event.phone === state.phone) void refreshMessages();
  void refreshPhones();
}

/** @param {{ id: string, from: string, to: string, kind: string }} event */
function receipted(event) {
  const isRead = event.kind === "read" || event.kind === "played";
  if (!isRead && event.kind !== "delivered") return;
  const reader = event.from.split(":")[0];
  if (event.to.split(":")[0] !== state.phone || reader === state.phone) return;
  const known = receipts.get(event.id) ?? { delivered: new Set(), read: new Set() };
  known.delivered.add(reader);
  if (isRead) known.read.add(reader);
  receipts.set(event.id, known);
  const [oldest] = receipts.keys();
  if (receipts.size > REMEMBERED) receipts.delete(oldest);
  state.messages = state.messages.map((message) => (message.id === event.id ? ticked(message) : message));
  changed();
}

/** With the receipts that were heard of it. @param {Message} message */
function ticked(message) {
  const known = receipts.get(message.id);
  if (!known || !message.from_me) return message;
  return {
    ...message,
    delivered_to: [...new Set([...(message.delivered_to ?? []), ...known.delivered])],
    read_by: [...new Set([...(message.read_by ?? []), ...known.read])],
  };
}

/** @param {{ device: string, chat: string, state: string }} event */
function types(event) {
  const number = event.device.split(":")[0];
  const readers = groupOf(event.chat)?.members ?? [event.chat];
  for (const reader of readers.filter((reader) => reader !== number)) {
    const key = `${reader} ${groupOf(event.chat) ? event.chat : number}`;
    clearTimeout(state.typing.get(key));
    state.typing.delete(key);
    if (event.state === "composing") {
      state.typing.set(key, window.setTimeout(() => {
        state.typing.delete(key);
        changed();
      }, TYPES_FOR));
    }
  }
  changed();
}

document.addEventListener("visibilitychange", () => void readOpenChat());
