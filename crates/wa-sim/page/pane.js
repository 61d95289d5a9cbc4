// @ts-check
/** On a narrow page: chooses the visible part. */

import { by } from "./dom.js";

/** @param {"phones" | "chats" | "conversation"} pane */
export function showPane(pane) {
  document.body.dataset.pane = pane;
}

/** @param {boolean} open */
export function showTools(open) {
  by("tools").hidden = !open;
  by("tools-open").setAttribute("aria-expanded", String(open));
  document.body.dataset.tools = open ? "open" : "closed";
}
