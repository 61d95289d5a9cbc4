// @ts-check
/** Dialogs, menus and notifications. */

import { by, el } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./say.js";

/** How long a notification is visible. */
const SHOWN_FOR = 6000;

/**
 * Shows a notification.
 * @param {string} text
 * @param {"good" | "bad"} [how]
 */
export function tell(text, how = "good") {
  const close = el("button", { type: "button", class: "quiet icon-only", "aria-label": say("close") }, icon("close"));
  const toast = el("p", { class: `toast ${how}` }, icon(how === "good" ? "check" : "info"), el("span", { text }), close);
  const end = () => toast.remove();
  close.addEventListener("click", end);
  by("toasts").append(toast);
  setTimeout(end, SHOWN_FOR);
}

/** @param {unknown} error */
export function tellError(error) {
  tell(error instanceof Error ? error.message : String(error), "bad");
}

/**
 * Runs an action and shows a failure.
 * @param {() => Promise<unknown>} what
 * @param {string} [done] the text after a success
 */
export async function attempt(what, done) {
  try {
    await what();
    if (done) tell(done);
  } catch (error) {
    tellError(error);
  }
}

/**
 * Returns a field with its label.
 * @param {string} label
 * @param {Record<string, any>} props
 * @param {string} [hint]
 */
export function field(label, props, hint) {
  const input = el(props.rows ? "textarea" : "input", props);
  const node = el("label", { class: "field" }, el("span", { text: label }), input, hint && el("small", { text: hint }));
  return { node, input };
}

/**
 * Opens a dialog. The button runs `submit`; after a failure the dialog stays open and shows the error.
 * @param {{ title: string, body: Node[], action?: string, danger?: boolean, submit?: () => Promise<unknown> }} what
 * @returns {HTMLDialogElement}
 */
export function openDialog({ title, body, action, danger, submit }) {
  const head = el("h2", { text: title, id: "dialog-title" });
  const close = el("button", { type: "button", class: "quiet icon-only", "aria-label": say("close") }, icon("close"));
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const go = action && el("button", { class: danger ? "danger" : "primary", type: "submit", text: action });
  const cancel = el("button", { type: "button", class: "plain", text: say(action ? "cancel" : "close") });
  const form = el("form", {}, el("div", { class: "dialog-head" }, head, close),
    el("div", { class: "dialog-body" }, ...body, problem), el("div", { class: "dialog-foot" }, cancel, go));
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  close.addEventListener("click", () => dialog.close());
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!submit || go.disabled) return;
    go.disabled = true;
    problem.hidden = true;
    try {
      await submit();
      dialog.close();
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
      problem.hidden = false;
    }
    go.disabled = false;
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks for confirmation of an irreversible action.
 * @param {string} title
 * @param {string} text
 * @param {string} action
 * @param {() => Promise<unknown>} submit
 */
export function confirmFirst(title, text, action, submit) {
  openDialog({ title, body: [el("p", { text })], action, danger: true, submit });
}

/**
 * Opens a menu at a button.
 * @param {HTMLElement} at
 * @param {{ text: string, icon?: string, danger?: boolean, act: () => void }[]} items
 * @param {Node} [first] what stands above the items
 */
export function openMenu(at, items, first) {
  const menu = el("div", { class: "menu", popover: "auto", role: "group", "aria-label": at.getAttribute("aria-label") ?? "" });
  if (first) menu.append(first);
  for (const item of items) {
    menu.append(el("button", { type: "button", class: item.danger ? "bad" : "", on: { click: item.act } },
      item.icon && icon(item.icon), el("span", { text: item.text })));
  }
  // A click on a button closes the menu. The action runs first, so a dialog opened by the action
  // can restore the focus later.
  menu.addEventListener("click", (/** @type {Event} */ event) => {
    if (event.target instanceof Element && event.target.closest("button")) menu.hidePopover();
  });
  menu.addEventListener("toggle", (/** @type {any} */ event) => {
    if (event.newState === "closed") menu.remove();
  });
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...menu.querySelectorAll("button")];
    const now = buttons.findIndex((button) => button === document.activeElement);
    buttons[(now + step + buttons.length) % buttons.length].focus();
  });
  at.after(menu);
  menu.showPopover();
  place(menu, at);
  menu.querySelector("button").focus();
}

/**
 * Places the menu below the button, or above if the space below is too small.
 * @param {HTMLElement} menu
 * @param {HTMLElement} at
 */
function place(menu, at) {
  const [box, own, edge] = [at.getBoundingClientRect(), menu.getBoundingClientRect(), 8];
  const below = box.bottom + own.height + edge < innerHeight;
  menu.style.top = `${Math.max(edge, below ? box.bottom + 4 : box.top - own.height - 4)}px`;
  menu.style.left = `${Math.min(Math.max(edge, box.left), innerWidth - own.width - edge)}px`;
}
