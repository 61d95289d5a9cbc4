// @ts-check
/** The requests of the control API that the page uses. Paths are relative, so a proxy can serve the page under any path. */

/**
 * @typedef {{ id: string, number: string, device: number, connected: boolean, platform: string, linked_at: number }} Device
 * @typedef {{ number: string, name: string, online: boolean, receipts: string, receipt_delay_ms: number, ask_again_ms: number,
 *   unread: Record<string, number>, duplicates: number, devices: Device[] }} Phone
 * @typedef {{ groupid: string, name: string, owner: string, members: string[], admins: string[], description: string }} Group
 * @typedef {{ id: string, platform: string, waits_s: number, qr_expires_s: number, code_for: string | null,
 *   code_expires_s: number | null }} Waiting
 * @typedef {{ id: string, chat: string, from: string, from_me: boolean, kind: string, text: string, timestamp: number,
 *   delivered_to?: string[], read_by?: string[], [field: string]: any }} Message
 * @typedef {{ number: number, at_ms: number, device: string, from: "device" | "server", ignored: boolean, bytes: number,
 *   text: string }} Stanza
 */

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
async function ask(method, path, body) {
  const headers = body === undefined ? undefined : { "content-type": "application/json" };
  const answer = await fetch(`control/${path}`, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  throw new Error(said?.error ?? `${answer.status} ${answer.statusText}`);
}

/** @param {string} part */
const safe = (part) => encodeURIComponent(part);
/** @param {string} number */
const phone = (number) => `phones/${safe(number)}`;
/** @param {string} id */
const device = (id) => `devices/${safe(id)}`;

export const api = {
  key: () => ask("GET", "key"),
  /** @returns {Promise<Phone[]>} */
  phones: () => ask("GET", "phones"),
  /** @returns {Promise<Group[]>} */
  groups: () => ask("GET", "groups"),
  /** @returns {Promise<Waiting[]>} */
  waiting: () => ask("GET", "waiting"),
  faults: () => ask("GET", "faults"),
  /** @param {Record<string, unknown>} changes */
  setFaults: (changes) => ask("PATCH", "faults", changes),
  /** @param {string} number @param {string} name */
  addPhone: (number, name) => ask("POST", "phones", name ? { number, name } : { number }),
  /** @param {string} number @param {Record<string, unknown>} habits */
  setHabits: (number, habits) => ask("PATCH", phone(number), habits),
  /** @param {string} number @param {string} query @returns {Promise<Message[]>} */
  messages: (number, query) => ask("GET", `${phone(number)}/messages?${query}`),
  /** @param {string} number @param {Record<string, unknown>} what */
  send: (number, what) => ask("POST", `${phone(number)}/send`, what),
  /** @param {string} number @param {Record<string, unknown>} whom */
  call: (number, whom) => ask("POST", `${phone(number)}/call`, whom),
  /** @param {string} number @param {string} chat */
  read: (number, chat) => ask("POST", `${phone(number)}/read`, { chat }),
  /** @param {string} number @param {string} qr */
  scan: (number, qr) => ask("POST", `${phone(number)}/scan`, { qr }),
  /** @param {string} number @param {string} code */
  enterCode: (number, code) => ask("POST", `${phone(number)}/enter-code`, { code }),
  /** @param {Record<string, unknown>} group */
  addGroup: (group) => ask("POST", "groups", group),
  /** @param {string} id @param {Record<string, unknown>} change */
  changeGroup: (id, change) => ask("PATCH", `groups/${safe(id)}`, change),
  /** @param {string} id @param {Record<string, string[]>} change */
  changeMembers: (id, change) => ask("POST", `groups/${safe(id)}/members`, change),
  /** @param {string} id @param {string} how */
  drop: (id, how) => ask("POST", `${device(id)}/drop`, { how }),
  /** @param {string} id */
  replace: (id) => ask("POST", `${device(id)}/replace`, {}),
  /** @param {string} id */
  logout: (id) => ask("POST", `${device(id)}/logout`, {}),
};

/**
 * Returns the path of a message's file.
 * @param {string} number
 * @param {string} id
 */
export function fileOf(number, id) {
  return `control/${phone(number)}/media/${safe(id)}`;
}

/**
 * Reads a stream of the control API. The browser reconnects automatically.
 * @param {"events" | "wire"} name
 * @param {{ said: (what: any) => void, opened?: () => void, lost?: () => void }} heard
 * @returns {EventSource}
 */
export function follow(name, heard) {
  const source = new EventSource(`control/${name}`);
  source.addEventListener("message", (event) => heard.said(JSON.parse(event.data)));
  source.addEventListener("open", () => heard.opened?.());
  source.addEventListener("error", () => heard.lost?.());
  return source;
}
