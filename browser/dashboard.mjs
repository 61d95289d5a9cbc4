// Tests the dashboard in a real browser with a sandbox: WAVIRO=target/debug/waviro node --test
// browser/dashboard.mjs

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { demandAccessible, openPage, sidewaysScroll, startBrowser, startProgram } from "./lib.mjs";

const PASSWORD = "kata sandi yang panjang";
/** The size limit of a page with all its resources. */
const MAX_WEIGHT = 250 * 1024;
/** The number of clicks from the sandbox's first screen to the message on the phone. */
const MAX_CLICKS = 5;
const CUSTOMER = "6281200000002";
const OWNER = "6281200000001";
/** The number of a sender with a hostile name and hostile texts. */
const STRANGER = "6281200000666";
/** Texts that would run as script if a page did not escape them. */
const HOSTILE = [`<img src=x onerror="alert(1)">`, `"><script>alert(2)</script>`, `</textarea></title><svg onload=alert(3)>`];

let browser;

before(async () => {
  assert.ok(process.env.WAVIRO, "WAVIRO must name the gateway's program, for example target/debug/waviro");
  browser = await startBrowser();
});

after(() => browser?.close());

/** Starts a sandbox; the result includes the addresses and keys printed by the sandbox. */
async function sandbox(...more) {
  const { found, stop } = await startProgram(process.env.WAVIRO, ["sandbox", "--json", "--listen", "127.0.0.1:0", "--sim", "127.0.0.1:0", ...more], /^(\{.*\})$/mu);
  return { ...JSON.parse(found), stop };
}

/** Opens the dashboard with the first user logged in. */
async function logIn(world, options) {
  const opened = await openPage(browser, world.dashboard, { ...options, also: [world.sim] });
  const { page } = opened;
  await page.fill("#password", PASSWORD);
  await page.fill("#again", PASSWORD);
  await page.click("button.strong");
  await page.waitForURL(/\/dashboard$/u);
  return opened;
}

/** Opens another page of the same session. */
async function another(opened, url) {
  const page = await opened.context.newPage();
  opened.watch(page);
  await page.goto(url);
  return page;
}

async function control(world, method, path, body) {
  const answer = await fetch(`${world.sim}/control/${path}`, { method, body: body && JSON.stringify(body) });
  const said = await answer.json();
  assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(said)}`);
  return said;
}

/** Waits until the phone shows a message with this text. */
async function onPhone(world, number, text) {
  for (let tries = 0; tries < 400; tries += 1) {
    const { messages = [] } = { messages: await control(world, "GET", `phones/${number}/messages`) };
    const list = Array.isArray(messages) ? messages : messages.data ?? [];
    if (list.some((message) => message.text === text)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`${number} never showed ${text}`);
}

describe("a sandbox", () => {
  test(`shows its first message on a phone after ${MAX_CLICKS} clicks at most`, async (t) => {
    const world = await sandbox();
    t.after(world.stop);
    const { page, wrong, context } = await openPage(browser, world.dashboard, { also: [world.sim] });
    let clicks = 0;
    const click = async (selector) => {
      clicks += 1;
      await page.click(selector);
    };
    await page.fill("#password", PASSWORD);
    await page.fill("#again", PASSWORD);
    await click("button.strong");
    await click("a[href$='/send']");
    await page.fill("#to", CUSTOMER);
    await page.fill("#text", "Halo dari dasbor");
    await click("form.stack button.strong");
    await click(".actions a.strong");
    await page.waitForURL(`${world.sim}/**`);
    if (!(await page.getByText("Halo dari dasbor").first().isVisible().catch(() => false))) {
      await page.waitForSelector(`[data-chat]`);
      await click(`[data-chat]`);
    }
    await page.getByText("Halo dari dasbor").first().waitFor();
    assert.ok(clicks <= MAX_CLICKS, `${clicks} clicks`);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("links a bot by QR, which the page sees by itself, and another by a typed code", async (t) => {
    const world = await sandbox("--empty");
    t.after(world.stop);
    const opened = await logIn(world);
    const { page, wrong } = opened;
    await page.click("a[href$='/link']");
    await page.click("form button.strong");
    await page.waitForSelector(".qr img");
    const scan = await page.getAttribute(".scan ~ .actions a", "href");
    const code = new URLSearchParams(new URL(scan).hash.slice(1)).get("scan");
    assert.match(code, /^2@/u);
    await control(world, "POST", `phones/${OWNER}/scan`, { qr: code });
    // The page must update without a click or a reload.
    await page.waitForSelector(".state.good");

    await page.goto(world.dashboard.replace(/\/setup.*/u, ""));
    await page.fill("#name", "cabang");
    await page.click("form.row button.strong");
    const key = await page.inputValue("#key");
    assert.match(key, /^[0-9a-f]{64}$/u);
    await page.click("a.strong");
    await page.fill("#number", "+62 812-0000-0003");
    await page.click("form.row button");
    const typed = await page.inputValue("#code");
    assert.match(typed, /^[0-9A-Z]{4}-[0-9A-Z]{4}$/u);
    await control(world, "POST", "phones/6281200000003/enter-code", { code: typed });
    await page.waitForSelector(".state.good");
    assert.deepEqual(wrong, []);
    await opened.context.close();
  });

  test("is linked and sends by keyboard alone", async (t) => {
    const world = await sandbox("--empty");
    t.after(world.stop);
    const opened = await openPage(browser, world.dashboard, { also: [world.sim] });
    const { page, wrong } = opened;
    const press = async (...keys) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    /** Presses the tab key until the focus is on the element. */
    const tabTo = async (selector) => {
      for (let tries = 0; tries < 60; tries += 1) {
        await press("Tab");
        if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
      }
      assert.fail(`the keyboard never reached ${selector}`);
    };
    // The focus is in the field from the start.
    await page.waitForFunction(() => document.activeElement?.id === "password");
    await page.keyboard.type(PASSWORD);
    await tabTo("#again");
    await page.keyboard.type(PASSWORD);
    await press("Enter");
    await page.waitForURL(/\/dashboard$/u);
    await tabTo("a[href$='/link']");
    await press("Enter");
    await page.waitForURL(/\/link$/u);
    await tabTo("form button.strong");
    await press("Enter");
    await page.waitForSelector(".qr img");
    const code = new URLSearchParams(new URL(await page.getAttribute(".scan ~ .actions a", "href")).hash.slice(1)).get("scan");
    await control(world, "POST", `phones/${OWNER}/scan`, { qr: code });
    await page.waitForSelector(".state.good");
    await tabTo("a[href$='/send'].strong");
    await press("Enter");
    await page.waitForURL(/\/send$/u);
    await tabTo("#to");
    await page.keyboard.type(CUSTOMER);
    await tabTo("#text");
    await page.keyboard.type("Dari papan ketik");
    await tabTo("form.stack button.strong");
    await press("Enter");
    await page.waitForSelector("#sent");
    await onPhone(world, CUSTOMER, "Dari papan ketik");
    assert.deepEqual(wrong, []);
    await opened.context.close();
  });
});

/** Starts an endpoint that records its calls; `answer` gets the number of calls so far. */
async function endpoint(t, answer) {
  const calls = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => {
      calls.push(body);
      const { status = 200, said = {} } = answer(calls.length);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(said));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}/hook.php`, calls };
}

describe("a shop", () => {
  test("makes a rule, tries it, and its answer reaches the phone that asked", async (t) => {
    const world = await sandbox();
    t.after(world.stop);
    const said = { success: true, message: { reply: [{ type: "message", content: "Kopi 18 ribu" }] } };
    const { url, calls } = await endpoint(t, () => ({ said }));
    const opened = await logIn(world);
    const { page, wrong } = opened;
    await page.click("a[href$='/bots/1']");
    await page.click(".tabs a[href$='/rules']");
    await page.fill("#keyword", "harga#");
    await page.fill("#url", url);
    await page.click("form:has(#keyword) button.strong");
    await page.getByText("harga#").first().waitFor();
    await page.fill("#text", "harga#kopi");
    await page.click("button[value=try]");
    await page.waitForSelector(".result");
    assert.match(await page.textContent(".result"), /"keyword":"harga#","data":\["kopi"\]/u);
    assert.deepEqual(calls, []);
    await page.fill("#text", "harga#kopi");
    await page.click("button[value=really]");
    await page.waitForSelector(".replies");
    assert.match(await page.textContent(".replies"), /Kopi 18 ribu/u);
    assert.equal(calls.length, 1);

    // A person who received a message has a chat for the answer.
    const greeting = { nohp: CUSTOMER, pesan: "Ketik harga#kopi" };
    await fetch(`${world.gateway}/api/sendwa`, { method: "POST", headers: { SecretKey: world.bots[0].secret_key }, body: JSON.stringify(greeting) });
    const phone = await another(opened, `${world.sim}/?phone=${CUSTOMER}`);
    await phone.click(`[data-chat="${OWNER}"]`);
    await phone.locator("textarea").fill("harga#kopi");
    await phone.keyboard.press("Enter");
    await phone.getByText("Kopi 18 ribu").first().waitFor();
    assert.equal(calls.length, 2);
    assert.deepEqual(wrong, []);
    await opened.context.close();
  });

  test("sees why a callback failed, and posts it again", async (t) => {
    const world = await sandbox();
    t.after(world.stop);
    const { url, calls } = await endpoint(t, (count) => ({ status: count === 1 ? 410 : 200 }));
    const opened = await logIn(world);
    const { page, wrong } = opened;
    await page.goto(`${world.dashboard.replace(/\/setup.*/u, "")}/bots/1/send`);
    await page.fill("#to", CUSTOMER);
    await page.fill("#text", "Pesanan siap");
    await page.click("details:has(#notify) summary");
    await page.fill("#notify", url);
    await page.click("form.stack button.strong");
    await page.waitForSelector("#sent");
    await page.click(".tabs a[href$='/messages']");
    // The states must update without a reload.
    await page.locator(".state.good", { hasText: "Dibaca" }).first().waitFor();
    await page.click(".log a");
    await page.getByText("410").first().waitFor();
    await page.click(".tabs a[href$='/deliveries']");
    // Replay must include the deliveries that the list shows now, not only those from the opening
    // of the page.
    const at = await page.inputValue("#at");
    await control(world, "POST", `phones/${CUSTOMER}/send`, { to: OWNER, text: "halo" });
    await page.waitForFunction((before) => Number(document.querySelector("#at").value) > Number(before), at);
    // If the answer is lost, the browser sends the same form again, and the gateway must execute
    // the form once.
    await page.route("**/bots/1/deliveries", (route) => (route.request().method() === "POST" ? route.abort("aborted") : route.fallback()));
    await page.click("summary:has-text('Kirim ulang banyak')");
    const [lost] = await Promise.all([page.waitForRequest((request) => request.method() === "POST"), page.click("form.sieve[method=post] button")]);
    const followed = page.waitForResponse((response) => response.request().headers()["hx-request"] === "true");
    await control(world, "POST", `phones/${CUSTOMER}/send`, { to: OWNER, text: "halo lagi" });
    await (await followed).finished();
    await page.waitForFunction(() => !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling"));
    assert.equal(await page.inputValue("#at"), new URLSearchParams(lost.postData()).get("at"));
    await page.unroute("**/bots/1/deliveries");
    await page.click(".log a");
    await page.click("#post-again");
    await page.locator(".state.good", { hasText: "Diterima" }).first().waitFor();
    assert.ok(calls.length >= 2, `${calls.length} calls`);
    assert.deepEqual(wrong, []);
    await opened.context.close();
  });

  test("sees a conflict and a ban from the phones' page as they come, and takes its number back by a click", async (t) => {
    const world = await sandbox();
    t.after(world.stop);
    const opened = await logIn(world);
    const { page, wrong } = opened;
    await page.click(".bots h2 a");
    const state = (text) => page.locator(".state", { hasText: text }).first().waitFor();
    await state("Terhubung");
    const phones = await another(opened, `${world.sim}/?phone=${OWNER}`);
    await phones.locator(".device button", { hasText: "Konflik" }).click();
    // The page must update without a click and explain the next step.
    await state("Dipakai di tempat lain");
    assert.match(await page.textContent("main"), /Hubungkan ulang/u);
    await page.click("#live a[href$='/link']");
    await page.locator("button", { hasText: "Hubungkan ulang" }).click();
    await state("Terhubung");

    const banned = phones.locator("input[data-focus='Diblokir']");
    await banned.click();
    await state("Diblokir WhatsApp");
    await page.click(".tabs a[href$='/send']");
    await page.fill("#to", CUSTOMER);
    await page.fill("#text", "Tidak sekarang");
    await page.click("form.stack button.strong");
    await page.locator("[role=alert]", { hasText: "tidak terhubung" }).waitFor();
    // The only allowed console message is the status of the refusal.
    assert.deepEqual(wrong.filter((line) => !line.includes("409")), []);
    await opened.context.close();
  });

  test("replaces its key, and the old one dies when it was told to", async (t) => {
    const world = await sandbox();
    t.after(world.stop);
    const opened = await logIn(world);
    const { page, wrong } = opened;
    const old = world.bots[0].secret_key;
    const asks = async (key) => (await fetch(`${world.gateway}/api/getqr`, { method: "POST", headers: { SecretKey: key } })).status;
    await page.goto(`${world.dashboard.replace(/\/setup.*/u, "")}/bots/1/settings`);
    await page.click("form:has([value=rotate-key]) button");
    const fresh = await page.inputValue("#fresh-key");
    assert.match(fresh, /^[0-9a-f]{64}$/u);
    assert.notEqual(fresh, old);
    assert.equal(await asks(fresh), 200);
    await page.goto(page.url().split("#")[0]);
    if (await page.locator("[value=end-key]").count()) {
      assert.equal(await asks(old), 200);
      await page.click("form:has([value=end-key]) button");
      await page.waitForSelector("[value=end-key]", { state: "detached" });
    }
    assert.notEqual(await asks(old), 200);
    assert.deepEqual(wrong, []);
    await opened.context.close();
  });
});

describe("every screen", () => {
  let world;
  let opened;
  const home = () => world.dashboard.replace(/\/setup.*/u, "");
  const screens = () => [
    home(), `${home()}/bots/1`, `${home()}/bots/1/link`, `${home()}/bots/2/link`, `${home()}/nothing`,
    ...opened.kinds.map((kind) => `${home()}/bots/1/send${kind}`),
    ...["messages", "messages?direction=in", "deliveries", "rules", "settings"].map((page) => `${home()}/bots/1/${page}`),
    `${home()}/users`, `${home()}/users/1`, `${home()}/me`,
    ...opened.details,
  ];

  before(async () => {
    world = await sandbox();
    opened = await logIn(world);
    const { page } = opened;
    await page.fill("#name", "cabang");
    await page.click("form.row button.strong");
    await page.click("a.strong");
    await page.click("form button.strong");
    await page.waitForSelector(".qr img");
    // Creates data for the screens, with texts that would run as script if the page did not escape
    // them.
    const api = (path, body) => fetch(`${world.gateway}${path}`, { method: "POST", headers: { SecretKey: world.bots[0].secret_key }, body: JSON.stringify(body) });
    const { message } = await (await api("/api/sendwa", { nohp: CUSTOMER, pesan: HOSTILE[1], notifyurl: `${world.gateway}/livez` })).json();
    await control(world, "POST", `phones/${CUSTOMER}/send`, { to: OWNER, text: HOSTILE[2] });
    const media = { kind: "document", base64: "JVBERi0xLjc=", file_name: `${HOSTILE[0]}.pdf` };
    await control(world, "POST", `phones/${CUSTOMER}/send`, { to: OWNER, media });
    await control(world, "POST", "phones", { number: STRANGER, name: HOSTILE[0] });
    const write = (what) => control(world, "POST", `phones/${STRANGER}/send`, what);
    for (const text of HOSTILE) await write({ to: OWNER, text });
    await write({ to: OWNER, location: { latitude: 1, longitude: 2, name: HOSTILE[1] } });
    await write({ to: OWNER, contact: { name: HOSTILE[2], numbers: ["628"] } });
    const { groupid } = await control(world, "POST", "groups", { name: HOSTILE[1], owner: STRANGER, members: [OWNER] });
    await write({ groupid, text: HOSTILE[0] });
    await page.goto(`${home()}/bots/1/send`);
    opened.kinds = await page.$$eval(".kinds a", (all) => all.map((one) => one.search));
    const links = () => page.$$eval(".log a", (all) => all.map((one) => one.href));
    await page.goto(`${home()}/bots/1/deliveries`);
    await page.waitForSelector(".log a");
    opened.details = [`${home()}/bots/1/messages/${message.id}`, (await links())[0]];
    await page.goto(`${home()}/bots/1/messages?direction=in`);
    // Two messages of the customer, and all messages of the stranger.
    await page.waitForFunction((all) => document.querySelectorAll(".log a").length === all, 2 + HOSTILE.length + 3);
    opened.heard = await links();
  });
  after(() => world?.stop());

  test("is for everybody, in both themes and languages", async () => {
    for (const theme of ["light", "dark"]) {
      for (const language of ["id", "en"]) {
        const cookies = { waviro_theme: theme, waviro_lang: language };
        await opened.context.addCookies(Object.entries(cookies).map(([name, value]) => ({ name, value, url: world.gateway })));
        for (const screen of screens()) {
          await opened.page.goto(screen);
          assert.equal(await opened.page.getAttribute("html", "lang"), language);
          await demandAccessible(opened.page, `${screen} ${theme} ${language}`);
        }
      }
    }
    const stranger = await openPage(browser, `${home()}/login`);
    await demandAccessible(stranger.page, "login");
    await stranger.context.close();
  });

  test("fits a phone", async () => {
    const page = await another(opened, home());
    await page.setViewportSize({ width: 360, height: 740 });
    for (const screen of screens()) {
      await page.goto(screen);
      const { by, part } = await sidewaysScroll(page);
      const within = ["tabs", "kinds", "main", "PRE"].includes(part);
      assert.ok(by === 0 || within, `${screen}: ${part} by ${by}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, screen);
    }
    await page.close();
  });

  test("weighs little and asks nobody else", async () => {
    for (const screen of screens()) {
      const fresh = await browser.newContext({ storageState: await opened.context.storageState() });
      const page = await fresh.newPage();
      const bodies = [];
      page.on("response", (response) => {
        if (!new URL(response.url()).pathname.endsWith("/live")) bodies.push(response.body());
      });
      await page.goto(screen, { waitUntil: "load" });
      const weight = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
      assert.ok(weight > 10_000 && weight < MAX_WEIGHT, `${screen}: ${weight}`);
      await fresh.close();
    }
  });

  test("says what it says without JavaScript", async () => {
    const context = await browser.newContext({ storageState: await opened.context.storageState(), javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${home()}/bots/1/send`);
    await page.fill("#to", CUSTOMER);
    await page.fill("#text", "Tanpa skrip");
    await page.click("form.stack button.strong");
    await page.waitForSelector("#sent");
    await onPhone(world, CUSTOMER, "Tanpa skrip");
    await page.goto(home());
    assert.match(await page.textContent("main"), /toko/u);
    await context.close();
  });

  test("runs nothing that a name says", async () => {
    for (const name of HOSTILE) {
      await opened.page.goto(home());
      await opened.page.fill("#name", name);
      await opened.page.click("form.row button.strong");
      await opened.page.waitForSelector("#key");
    }
    await opened.page.goto(home());
    for (const name of HOSTILE) await opened.page.getByText(name, { exact: true }).first().waitFor();
    const shown = [];
    for (const screen of [`${home()}/bots/1/messages?direction=in`, ...opened.heard]) {
      await opened.page.goto(screen);
      shown.push(await opened.page.textContent("main"));
    }
    // Each hostile text must appear unchanged, as a name and as a text.
    for (const name of HOSTILE) assert.ok(shown[0].includes(name) && shown.slice(1).filter((page) => page.includes(name)).length > 1, name);
  });

  test("switches language and theme, and comes back to where it was", async () => {
    const page = await another(opened, `${home()}/bots/1/send?kind=location`);
    await page.click(".menu summary");
    await page.click("button[name=lang][value=en]");
    await page.waitForSelector("html[lang=en]");
    assert.match(page.url(), /kind=location$/u);
    await page.click(".menu summary");
    await page.click("button[name=theme][value=dark]");
    await page.waitForSelector("html[data-theme=dark]");
    await page.close();
  });

  test("had nothing wrong with it", () => {
    assert.deepEqual(opened.wrong.filter((line) => !line.includes("404")), []);
  });
});
