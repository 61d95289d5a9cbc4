// @ts-check
/** What the page knows of the simulator, kept fresh by its events. `changed` is called after each change. */

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
  /** What came while nobody looked, by phone and chat. @type {Map<string, number>} */
  unseen: new Map(),
  /** Who types where: `phone chat`. @type {Map<string, number>} */
  typing: new Map(),
  ready: false,
  live: false,
  /** Whether opening a chat reads it. */
  readsOnOpening: true,
};

/** How many messages are asked for at first. */
const AT_FIRST = 2000;
/** A client that stops typing may not say so. */
const TYPES_FOR = 8000;
/** What changes another message is no news of its own. */
const SILENT = new Set(["reaction", "edit", "revoke"]);

/** How many receipts are remembered that may be of messages still on their way here. */
const REMEMBERED = 1000;

/** Which reading of the messages is wanted, and which is shown: what an older one brings is thrown away. */
let wanted = 0;
let shown = -1;
/** Receipts by message: one may be told before its message has been fetched. @type {Map<string, { delivered: Set<string>, read: Set<string> }>} */
const receipts = new Map();
/** @type {() => void} */
let changed = () => {};
/** @type {(error: unknown) => void} */
let failed = () => {};

/**
 * Reads everything and follows the events from then on.
 * @param {{ changed: () => void, failed: (error: unknown) => void }} heard
 */
export function start(heard) {
  ({ changed, failed } = heard);
  follow("events", {
    said,
    // Also after a break: what happened meanwhile was not said.
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

/** The phone in hand. */
export function inHand() {
  return state.phones.find((phone) => phone.number === state.phone);
}

/**
 * What someone is called, or their number.
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
 * How many messages of a chat wait for a reader.
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
 * Takes a phone in hand.
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
 * Opens a chat of the phone in hand.
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
  // At once, so that a burst of news asks only once.
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
 * Runs `what` now, or once more after the run that is under way: never twice at a time.
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
  // The phone may have forgotten the one after which was asked, and then tells all it has.
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
