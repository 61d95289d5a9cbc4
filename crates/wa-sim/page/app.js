// @ts-check
/** Starts the page and draws all parts after a change. */

import { api } from "./api.js";
import { badge, drawChats } from "./chats.js";
import { drawComposer, startComposer } from "./composer.js";
import { drawConversation, startConversation } from "./conversation.js";
import { drawDevices } from "./devices.js";
import { field, openDialog, tellError } from "./dialogs.js";
import { avatar, by, el, outdate, redraw, sync } from "./dom.js";
import { drawFaults, readFaults } from "./faults.js";
import { icon } from "./icons.js";
import { cleanCode, drawLink, openLink } from "./link.js";
import { isDark, recall, remember, startTheme, switchTheme } from "./look.js";
import { showPane, showTools } from "./pane.js";
import { say, spoken, switchLanguage, translate } from "./say.js";
import { choosePhone, refreshPhones, start, state, unreadOf } from "./state.js";
import { drawWire, watchWire } from "./wire.js";

/** @typedef {"phone" | "faults" | "wire"} Tab */

/** The tools, in their order. @type {[Tab, import("./words.js").Key][]} */
const TABS = [["phone", "tab_phone"], ["faults", "tab_faults"], ["wire", "tab_wire"]];
/** On a narrower page the tools are drawn over the chat. */
const ROOMY = "(min-width: 80rem)";
/** The interval for reading the faults while the panel is visible; some faults count down. */
const FAULTS_EVERY = 2000;

/** The phone and the QR code from the address of the page. */
const asked = readAddress();
/** @type {Tab} */
let tab = "phone";
let isDue = false;

/** Reads phone and code from the address, before or after the `#`. A code is used once. */
function readAddress() {
  const wanted = new URLSearchParams(location.search);
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) wanted.set(name, value);
  const code = cleanCode(wanted.get("scan") ?? "");
  const phone = (wanted.get("phone") ?? "").replace(/\D/gu, "");
  if (code) history.replaceState(null, "", phone ? `?phone=${phone}` : location.pathname);
  return { code, phone };
}

/** Schedules a redraw of the page; several calls cause one redraw. */
function draw() {
  if (isDue) return;
  isDue = true;
  // A timeout instead of an animation frame: browsers stop animation frames in a hidden tab.
  setTimeout(() => {
    isDue = false;
    drawPhones();
    drawChats();
    drawConversation();
    drawComposer();
    drawDevices();
    drawLink();
    drawLive();
    void answerAddress();
  });
}

function drawLive() {
  redraw(by("live"), String(state.live), () => el("span", { class: state.live ? "state good" : "state off", text: say(state.live ? "live" : "lost") }));
}

function drawPhones() {
  by("phones-empty").hidden = !state.ready || state.phones.length > 0;
  redraw(by("phones-empty"), "", () => el("div", {}, icon("phone"), el("p", { text: say("no_phones") }), el("button", { type: "button", class: "primary", text: say("add_phone"), on: { click: () => addPhone() } })));
  sync(by("phone-list"), state.phones, {
    key: (phone) => phone.number,
    mark: (phone) => JSON.stringify([phone.name, phone.online, phone.number === state.phone, unreadOf(phone), phone.devices.map((device) => device.connected)]),
    make: (phone) => {
      const choose = () => {
        showPane("chats");
        void choosePhone(phone.number);
        remember("phone", phone.number);
      };
      const unread = unreadOf(phone);
      const linked = phone.devices.length;
      return el("li", {}, el("button", { type: "button", class: "row", "data-phone": phone.number, "data-focus": phone.number, "aria-current": phone.number === state.phone && "true", on: { click: choose } },
        avatar(phone.name, phone.number),
        el("span", { class: "row-main" },
          el("span", { class: "row-line" }, el("span", { class: "row-title", text: phone.name, dir: "auto" }), unread > 0 && badge(unread)),
          el("span", { class: "row-last", text: `+${phone.number}` }),
          (!phone.online || linked > 0) && el("span", { class: "row-line chips" }, !phone.online && el("span", { class: "state off", text: say("switched_off") }),
            linked > 0 && el("span", { class: `state ${phone.devices.some((device) => device.connected) ? "good" : "off"}`, text: say("linked_n", { n: linked }) })))));
    },
  });
}

/** @param {string} [number] */
function addPhone(number = "") {
  const digits = field(say("number"), { type: "tel", inputmode: "tel", required: true, autofocus: true, value: number, placeholder: "6281234567890" }, say("number_hint"));
  const name = field(say("name"), { maxlength: 100, placeholder: "Ani" });
  openDialog({
    title: say("add_phone"), action: say("add"), body: [digits.node, name.node],
    submit: async () => {
      const phone = await api.addPhone(digits.input.value, name.input.value.trim());
      await refreshPhones();
      showPane("chats");
      await choosePhone(phone.number);
    },
  });
}

/** Chooses the phone after the phones are loaded: the phone from the address, or the last chosen phone. */
async function answerAddress() {
  if (!state.ready || state.phone) return;
  const has = (/** @type {string | null} */ number) => state.phones.some((phone) => phone.number === number);
  if (asked.phone && !has(asked.phone)) {
    const { phone } = asked;
    asked.phone = "";
    addPhone(phone);
    return;
  }
  const number = [asked.phone, recall("phone"), state.phones[0]?.number].find((one) => one && has(one));
  if (!number) return;
  if (asked.phone || asked.code) showPane("chats");
  await choosePhone(number);
  if (asked.code) openLink(asked.code);
  asked.code = "";
}

/** @param {Tab} next */
function chooseTab(next) {
  tab = next;
  for (const [name] of TABS) {
    const isChosen = name === tab;
    by(`tab-${name}`).setAttribute("aria-selected", String(isChosen));
    by(`tab-${name}`).tabIndex = isChosen ? 0 : -1;
    by(`panel-${name}`).hidden = !isChosen;
  }
  lookAtTools();
}

/** Reads the wire stream only while the wire log is visible, and the faults only beside the other panels. */
function lookAtTools() {
  const isOpen = !by("tools").hidden;
  watchWire(isOpen && tab === "wire");
  if (isOpen && tab !== "wire") void readFaults().then(drawDevices);
}

function drawTabs() {
  by("tabs").replaceChildren(...TABS.map(([name, key]) => el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, text: say(key), on: { click: () => chooseTab(name) } })));
}

function startTools() {
  by("tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([name]) => name === tab);
    const [next] = TABS[(at + step + TABS.length) % TABS.length];
    chooseTab(next);
    by(`tab-${next}`).focus();
  });
  const open = (/** @type {boolean} */ isOpen) => {
    showTools(isOpen);
    lookAtTools();
  };
  by("tools-open").addEventListener("click", () => open(by("tools").hidden));
  by("tools-close").addEventListener("click", () => {
    open(false);
    by("tools-open").focus();
  });
  by("tools").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && !matchMedia(ROOMY).matches) by("tools-close").click();
  });
  open(matchMedia(ROOMY).matches);
  setInterval(() => {
    if (tab === "faults" && !document.hidden && !by("panel-faults").contains(document.activeElement)) lookAtTools();
  }, FAULTS_EVERY);
}

/** Draws all texts again, in the chosen language. */
function drawWords() {
  outdate();
  translate();
  by("language").lang = spoken() === "id" ? "en" : "id";
  by("tools-open").replaceChildren(icon("tools"), el("span", { text: say("tools") }));
  drawTheme();
  drawTabs();
  drawWire();
  drawFaults();
  chooseTab(tab);
  draw();
}

function drawTheme() {
  by("theme").replaceChildren(icon(isDark() ? "sun" : "moon"));
  by("theme").setAttribute("aria-label", say(isDark() ? "make_light" : "make_dark"));
}

startTheme();
by("phone-add").append(icon("add"));
by("phone-add").addEventListener("click", () => addPhone());
by("tools-close").append(icon("close"));
by("theme").addEventListener("click", () => {
  switchTheme();
  drawTheme();
});
by("language").addEventListener("click", () => {
  switchLanguage();
  drawWords();
});
startComposer();
startConversation();
drawWords();
startTools();
start({ changed: draw, failed: tellError });
