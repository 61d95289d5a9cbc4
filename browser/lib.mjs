// Shared code of the page tests: a browser that records errors of its pages, a program under test,
// an accessibility check.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
/** The timeout, long enough for a loaded machine. A passing test never waits so long. */
export const DEADLINE = 20_000;

/** Starts Debian's chromium, or the program named by CHROMIUM. */
export function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/**
 * Starts a program and waits until the program reports that it is ready.
 * @param {string} program
 * @param {string[]} args
 * @param {RegExp} ready matches the line; the first group is returned
 */
export async function startProgram(program, args, ready) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const found = await new Promise((resolve, reject) => {
    let said = "";
    const late = setTimeout(() => reject(new Error(`${program} is not ready; it said: ${said}`)), DEADLINE);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}; it said: ${said}`)));
    child.stdout.on("data", (data) => {
      said += data;
      const match = ready.exec(said);
      if (!match) return;
      clearTimeout(late);
      resolve(match[1]);
    });
  });
  const stop = () => new Promise((resolve) => {
    child.removeAllListeners("exit");
    child.once("exit", resolve);
    child.kill("SIGTERM");
  });
  return { found, stop };
}

/**
 * Opens a page and records its problems: errors, console errors, violations of the content security
 * policy, requests to hosts other than its own and those in `also`, and dialogs opened by a script.
 * `watch` records the problems of another page of the same browser context in the same list.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContextOptions & { also?: string[] }} [options]
 */
export async function openPage(browser, url, { also = [], ...options } = {}) {
  const context = await browser.newContext({ locale: "id-ID", viewport: { width: 1440, height: 900 }, ...options });
  const wrong = [];
  const hosts = [url, ...also].map((known) => new URL(known).host);
  const watch = (page) => {
    page.setDefaultTimeout(DEADLINE);
    page.on("pageerror", (error) => wrong.push(`error: ${error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
    });
    page.on("dialog", (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  };
  context.on("request", (request) => {
    const { protocol, host: asked } = new URL(request.url());
    if (!["blob:", "data:"].includes(protocol) && !hosts.includes(asked)) wrong.push(`outside: ${request.url()}`);
  });
  await context.addInitScript(() => {
    window.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  watch(page);
  await page.goto(url);
  return { page, context, wrong, watch };
}

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/**
 * Runs axe-core and fails if axe-core finds a problem.
 * @param {import("playwright-core").Page} page
 * @param {string} what the name of the page, for the report
 */
export async function demandAccessible(page, what) {
  // The script runs through the debugger, because the page's content security policy must forbid
  // any other script.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations", "passes"] }));
  assert.ok(passes.length > 10, `axe looked at nothing: ${what}`);
  const found = violations.map((rule) => `${rule.id}: ${rule.help}\n${rule.nodes.map((node) => `    ${node.html}\n    ${node.failureSummary}`).join("\n")}`);
  assert.deepEqual(found, [], `${what} is not accessible:\n${found.join("\n")}`);
}

/**
 * Returns the largest horizontal scroll distance, in pixels, of the page and all its elements, with
 * the name of the element.
 * @param {import("playwright-core").Page} page
 */
export function sidewaysScroll(page) {
  return page.evaluate(() => {
    const parts = [...document.querySelectorAll("*")].filter((part) => ["auto", "scroll"].includes(getComputedStyle(part).overflowX));
    const beyond = [document.documentElement, ...parts].map((part) => ({ part: part.id || part.className || part.tagName, by: part.scrollWidth - part.clientWidth }));
    return beyond.reduce((most, one) => (one.by > most.by ? one : most));
  });
}
