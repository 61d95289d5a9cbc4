// Tests the simulator's page in a real browser. WA_SIM is the program: WA_SIM=target/debug/wa-sim
// node --test browser/phones.mjs

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { deflateSync } from "node:zlib";

import { demandAccessible, openPage, sidewaysScroll, startBrowser, startProgram } from "./lib.mjs";

const [ANI, BUDI, CICI] = ["6281111111111", "6282222222222", "6283333333333"];
/** The size limit of all resources loaded at the start. */
const MAX_WEIGHT = 150 * 1024;
/** Names and texts of a hostile phone. Each would run as script if the page did not escape it. */
const HOSTILE = [
  `<img src=x onerror="alert(1)">`,
  `"><script>alert(2)</script>`,
  `</textarea></title><svg onload=alert(3)>`,
  `javascript:alert(4)`,
];

let browser;
let sim;

before(async () => {
  assert.ok(process.env.WA_SIM, "WA_SIM must name the wa-sim program, for example target/debug/wa-sim");
  browser = await startBrowser();
});

after(() => browser?.close());

// Each test has its own simulator and sees no data of another test.
beforeEach(async () => {
  sim = await startProgram(process.env.WA_SIM, ["--listen", "127.0.0.1:0", "--seed", "7"], /phones at\s+(\S+)/u);
  for (const [number, name] of [[ANI, "Ani"], [BUDI, "Budi"]]) {
    await control("POST", "phones", { number, name });
    await control("PATCH", `phones/${number}`, { receipts: "delivered" });
  }
});

afterEach(() => sim?.stop());

/** Calls the control API, as a program does. */
async function control(method, path, body) {
  const answer = await fetch(`${sim.found}control/${path}`, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
  const said = await answer.json();
  assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(said)}`);
  return said;
}

const send = (from, what) => control("POST", `phones/${from}/send`, what);

/** Opens the page with a phone selected, and optionally with one of its chats. */
async function open(phone, { chat, ...options } = {}) {
  const opened = await openPage(browser, `${sim.found}?phone=${phone}`, options);
  await opened.page.waitForSelector(`[data-phone="${phone}"][aria-current]`, { state: "attached" });
  if (chat) await choose(opened.page, chat);
  return opened;
}

async function choose(page, chat) {
  await page.click(`[data-chat="${chat}"]`);
  await page.waitForSelector(".composer textarea");
}

/** Locates the bubble with this text. */
const bubble = (page, words) => page.locator(".bubble", { hasText: words });

/** A PNG of one colour; its displayed size shows whether the browser decoded it. */
function png(width, height) {
  const crc = (data) => {
    let value = ~0;
    for (const byte of data) {
      value ^= byte;
      for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value >>> 0;
  };
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const pixels = deflateSync(Buffer.alloc((width * 3 + 1) * height, 0));
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

describe("phones in the browser", () => {
  test("two phones chat: words, a picture, a reaction, a reply, an edit, a deletion, and ticks", async () => {
    const ani = await open(ANI);
    await ani.page.click("#chat-add");
    await ani.page.click(".menu button");
    await ani.page.click("dialog .picks .row:has-text('Budi')");
    await ani.page.fill(".composer textarea", "Halo Budi");
    await ani.page.click(".composer .primary");
    await bubble(ani.page, "Halo Budi").waitFor();
    // Delivered to Budi, whose chat is not open.
    await ani.page.waitForSelector('[data-tick="delivered"]');

    const budi = await open(BUDI);
    await budi.page.waitForSelector(`[data-chat="${ANI}"] .badge`);
    await choose(budi.page, ANI);
    await bubble(budi.page, "Halo Budi").waitFor();
    await ani.page.waitForSelector('[data-tick="read"]');
    await budi.page.waitForSelector(`[data-chat="${ANI}"] .badge`, { state: "detached" });

    await bubble(budi.page, "Halo Budi").hover();
    await budi.page.click(".line.in .more");
    await budi.page.click(".menu .emojis button:has-text('👍')");
    await ani.page.waitForSelector(".line.out .reactions:has-text('👍')");

    const chosen = budi.page.waitForEvent("filechooser");
    await budi.page.click(".composer .quiet");
    await budi.page.click(".menu button >> nth=0");
    await (await chosen).setFiles({ name: "bunga.png", mimeType: "image/png", buffer: png(64, 48) });
    await budi.page.fill("dialog input", "lihat ini");
    await budi.page.click("dialog .primary");
    const picture = bubble(ani.page, "lihat ini").locator("img");
    await picture.waitFor();
    await ani.page.waitForFunction(() => document.querySelector(".line.in img.picture")?.naturalWidth === 64);

    await bubble(ani.page, "lihat ini").hover();
    await ani.page.click(".line.in .more");
    await ani.page.click(".menu button:has-text('Balas')");
    await ani.page.fill(".composer textarea", "indah");
    await ani.page.press(".composer textarea", "Enter");
    await budi.page.waitForSelector(".line.in .quote:has-text('lihat ini')");

    await bubble(ani.page, "indah").hover();
    await ani.page.click(".line.out:last-child .more");
    await ani.page.click(".menu button:has-text('Ubah')");
    await ani.page.fill(".composer textarea", "indah sekali");
    await ani.page.press(".composer textarea", "Enter");
    await bubble(budi.page, "indah sekali").getByText("diubah").waitFor();

    await bubble(ani.page, "indah sekali").hover();
    await ani.page.click(".line.out:last-child .more");
    await ani.page.click(".menu button:has-text('Hapus')");
    await ani.page.click("dialog .danger");
    await bubble(budi.page, "Pesan ini dihapus").waitFor();
    assert.equal(await bubble(budi.page, "indah sekali").count(), 0);

    assert.deepEqual([...ani.wrong, ...budi.wrong], []);
    await Promise.all([ani.context.close(), budi.context.close()]);
  });

  test("a document, a place, a contact and a call go out by the page", async () => {
    await send(BUDI, { to: ANI, text: "Halo" });
    const { page, wrong, context } = await open(ANI, { chat: BUDI });
    const attach = async (name) => {
      await page.click(".composer .quiet");
      await page.click(`.menu button:has-text('${name}')`);
    };
    const chosen = page.waitForEvent("filechooser");
    await attach("Dokumen");
    await (await chosen).setFiles({ name: "tagihan.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-") });
    await page.click("dialog .primary");
    const saved = page.waitForEvent("download");
    await bubble(page, "tagihan.pdf").locator("a").click();
    assert.equal((await saved).suggestedFilename(), "tagihan.pdf");
    await attach("Lokasi");
    await page.click("dialog .primary");
    await bubble(page, "-6.17540, 106.82720").waitFor();
    await attach("Kontak");
    await page.click("dialog .primary");
    await page.waitForSelector(`.cards:has-text('${BUDI}')`);
    await page.click("#conversation-head button[data-focus=call]");
    await page.click(".menu button >> nth=0");
    await page.waitForSelector(".toast.good");
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("a group is made, written to, left", async () => {
    const { page, wrong, context } = await open(ANI);
    await page.click("#chat-add");
    await page.click(".menu button >> nth=1");
    await page.fill("dialog input[maxlength]", "Tim Toko");
    await page.check(`dialog input[value="${BUDI}"]`);
    await page.click("dialog .primary");
    await page.waitForSelector("#conversation-head:has-text('Tim Toko')");
    await page.fill(".composer textarea", "Selamat pagi");
    await page.press(".composer textarea", "Enter");
    await bubble(page, "Selamat pagi").waitFor();
    const [group] = (await control("GET", "groups")).filter((one) => one.name === "Tim Toko");
    await send(BUDI, { groupid: group.groupid, text: "Pagi juga" });
    await page.waitForSelector(".sender:has-text('Budi')");
    await page.click("#conversation-head button[data-focus=group]");
    await page.click("dialog .bad");
    await page.click("dialog .danger");
    await page.waitForSelector(".composer .faint");
    assert.deepEqual((await control("GET", "groups")).find((one) => one.groupid === group.groupid).members, [BUDI]);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("hostile names, texts and files run nothing", async () => {
    const [hostile] = ["6289999999999"];
    await control("POST", "phones", { number: hostile, name: HOSTILE[0] });
    for (const text of HOSTILE) await send(hostile, { to: ANI, text });
    const first = await send(hostile, { to: ANI, text: "first" });
    await send(hostile, { to: ANI, text: HOSTILE[1], quote: first.id });
    await send(hostile, { to: ANI, reaction: { id: first.id, emoji: HOSTILE[0] } });
    const script = Buffer.from("<script>alert(5)</script>").toString("base64");
    const svg = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(6)"><script>alert(7)</script></svg>`).toString("base64");
    const page1 = await send(hostile, { to: ANI, media: { kind: "document", base64: script, mimetype: "text/html", file_name: `${HOSTILE[0]}.html`, caption: HOSTILE[2] } });
    await send(hostile, { to: ANI, media: { kind: "image", base64: svg, mimetype: "image/svg+xml", caption: HOSTILE[0] } });
    await send(hostile, { to: ANI, media: { kind: "image", base64: script, mimetype: "text/html" } });
    await send(hostile, { to: ANI, location: { latitude: 1, longitude: 2, name: HOSTILE[0] } });
    await send(hostile, { to: ANI, contact: { name: HOSTILE[0], numbers: ["628"] } });
    const group = await control("POST", "groups", { name: HOSTILE[0], owner: hostile, members: [ANI] });
    await send(hostile, { groupid: group.groupid, text: HOSTILE[1] });

    const { page, wrong, context } = await open(ANI, { chat: hostile });
    await bubble(page, HOSTILE[3]).waitFor();
    await page.waitForSelector(`.document:has-text('.html')`);
    assert.ok((await page.textContent("#conversation-head")).includes(HOSTILE[0]));
    for (const text of HOSTILE) assert.ok((await page.textContent("#bubbles")).includes(text), text);
    await page.click("#conversation-head button[data-focus=call]");
    await page.keyboard.press("Escape");
    await choose(page, group.groupid);
    await page.waitForSelector("#conversation-head button[data-focus=group]");
    // The previous chat may still be visible for a moment.
    await bubble(page, HOSTILE[1]).last().waitFor();
    await page.click("#conversation-head button[data-focus=group]");
    await page.waitForSelector("dialog");
    assert.deepEqual(wrong, []);

    // Opened directly, the file must be downloaded and must not run.
    const alone = await context.newPage();
    alone.on("dialog", (dialog) => wrong.push(dialog.message()));
    const saved = alone.waitForEvent("download");
    await alone.goto(`${sim.found}control/phones/${ANI}/media/${page1.id}`).catch(() => {});
    await saved;
    assert.deepEqual(wrong, []);
    await context.close();
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`nothing keeps anybody out, ${colorScheme}`, async () => {
      const { id } = await send(BUDI, { to: ANI, text: "Halo" });
      await send(ANI, { to: BUDI, text: "Halo juga", quote: id });
      await send(BUDI, { to: ANI, reaction: { id, emoji: "👍" } });
      await send(BUDI, { to: ANI, media: { kind: "image", base64: png(40, 40).toString("base64"), mimetype: "image/png" } });
      await send(BUDI, { to: ANI, media: { kind: "audio", base64: "AAAA", voice: true } });
      await control("POST", "groups", { name: "Grup", owner: ANI, members: [BUDI] });
      const { page, context } = await open(ANI, { chat: BUDI, colorScheme });
      await bubble(page, "Halo juga").waitFor();
      await demandAccessible(page, "the chat");
      await bubble(page, "Halo juga").last().hover();
      await page.click(".line.out:has-text('Halo juga') .more >> nth=-1");
      await demandAccessible(page, "the menu of a message");
      await page.keyboard.press("Escape");
      for (const tab of ["faults", "wire", "phone"]) {
        await page.click(`#tab-${tab}`);
        await demandAccessible(page, `the tools: ${tab}`);
      }
      await page.click("#link-open");
      await demandAccessible(page, "linking");
      await page.keyboard.press("Escape");
      await page.click("#chat-add");
      await page.click(".menu button >> nth=1");
      await demandAccessible(page, "a new group");
      await context.close();
      const small = await open(ANI, { chat: BUDI, colorScheme, viewport: { width: 360, height: 740 } });
      await demandAccessible(small.page, "the chat, small");
      await small.context.close();
    });
  }

  test("nothing scrolls sideways at 360 pixels, and each part can be reached", async () => {
    await send(BUDI, { to: ANI, text: `${"sangatpanjang".repeat(30)} https://example.com/${"a".repeat(200)}` });
    await send(BUDI, { to: ANI, media: { kind: "document", base64: "AAAA", file_name: `${"nama".repeat(40)}.pdf` } });
    const { page, wrong, context } = await openPage(browser, sim.found, { viewport: { width: 360, height: 740 } });
    const check = async (what) => {
      const { part, by } = await sidewaysScroll(page);
      assert.ok(by <= 0, `${what}: ${part} scrolls ${by} pixels sideways`);
    };
    await page.click(`[data-phone="${ANI}"]`);
    await check("the chats");
    await choose(page, BUDI);
    await page.waitForSelector(".document");
    await check("the chat");
    const widest = await page.evaluate(() => Math.max(...[...document.querySelectorAll(".bubble")].map((one) => one.getBoundingClientRect().right)));
    assert.ok(widest <= 360, `a bubble reaches ${widest}`);
    await page.click("#tools-open");
    for (const tab of ["phone", "faults", "wire"]) {
      await page.click(`#tab-${tab}`);
      await check(`the tools: ${tab}`);
    }
    await page.click("#tools-close");
    await page.click("#conversation-head .back");
    await page.click("#link-open");
    await check("a dialog");
    await page.keyboard.press("Escape");
    await page.click("#chats-head .back");
    await page.waitForSelector(`[data-phone="${BUDI}"]`);
    await check("the phones");
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("the keyboard alone chooses a chat and sends", async () => {
    await send(BUDI, { to: ANI, text: "ada?" });
    const { page, context } = await open(ANI);
    await page.waitForSelector(`[data-chat="${BUDI}"]`);
    const tabTo = async (selector) => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
      }
      assert.fail(`60 times Tab do not reach ${selector}`);
    };
    await tabTo(`[data-chat="${BUDI}"]`);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "the focus is not visible");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.matches(".composer textarea"));
    await page.keyboard.type("dari papan ketik");
    await page.keyboard.press("Enter");
    await bubble(page, "dari papan ketik").waitFor();
    // For the reaction, the focus goes back to the button of the message.
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press("Shift+Tab");
      if (await page.evaluate(() => document.activeElement?.matches(".line.out .more"))) break;
    }
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".line.out .reactions");
    await context.close();
  });

  test("language and theme are the reader's, switched at once and kept", async () => {
    const english = await open(ANI, { locale: "en-GB" });
    assert.equal(await english.page.textContent("#phones h2"), "Phones");
    await english.context.close();
    const { page, wrong, context } = await open(ANI);
    assert.equal(await page.textContent("#phones h2"), "Ponsel");
    await page.click("#language");
    assert.equal(await page.textContent("#phones h2"), "Phones");
    assert.equal(await page.getAttribute("html", "lang"), "en");
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.click("#theme");
    const dark = await paper();
    assert.notEqual(dark, light);
    await page.reload();
    await page.waitForSelector(`[data-phone="${ANI}"]`);
    assert.equal(await page.textContent("#phones h2"), "Phones");
    assert.equal(await paper(), dark);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("a code in the address waits in the scan box, whole, and is gone from the address", async () => {
    const code = "2@a+b/c==,d+e,f,g,1";
    for (const address of [`?phone=${BUDI}&scan=${encodeURIComponent(code)}`, `?scan=${code}&phone=${BUDI}`, `#scan=${encodeURIComponent(code)}&phone=${BUDI}`]) {
      const { page, wrong, context } = await openPage(browser, sim.found + address);
      await page.waitForSelector("#scan-code");
      assert.equal(await page.inputValue("#scan-code"), code);
      assert.ok((await page.textContent("dialog h2")).includes("Budi"));
      assert.ok(!page.url().includes("scan="), page.url());
      assert.deepEqual(wrong, []);
      await context.close();
    }
  });

  test("a phone that is asked for and missing can be added", async () => {
    const { page, wrong, context } = await openPage(browser, `${sim.found}?phone=${CICI}`);
    await page.waitForSelector("dialog");
    assert.equal(await page.inputValue("dialog input"), CICI);
    await page.fill("dialog input >> nth=1", "Cici");
    await page.click("dialog .primary");
    await page.waitForSelector(`[data-phone="${CICI}"][aria-current]:has-text('Cici')`);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("switches turn what they say", async () => {
    const { page, wrong, context } = await open(ANI);
    await page.click('input[data-focus="Ponsel menyala"]');
    await page.waitForSelector(`[data-phone="${ANI}"] .state.off`);
    await page.selectOption('select[data-focus="receipts"]', "none");
    await page.click("#tab-faults");
    await page.fill('input[data-focus="nack"]', "2");
    await page.press('input[data-focus="nack"]', "Tab");
    await page.selectOption('select[data-focus="certificate"]', "expired");
    await page.waitForSelector('option[value="expired"][selected]', { state: "attached" });
    await page.click('input[data-focus="dedupe"]');
    await page.waitForSelector(".notice");
    const [phone] = await control("GET", "phones");
    assert.deepEqual([phone.online, phone.receipts], [false, "none"]);
    const faults = await control("GET", "faults");
    assert.deepEqual([faults.nack, faults.nack_code, faults.dedupe, faults.certificate], [2, 479, true, "expired"]);
    await page.click('button[data-focus="reset"]');
    await page.waitForSelector(".notice", { state: "detached" });
    const quiet = await control("GET", "faults");
    assert.deepEqual([quiet.nack, quiet.dedupe, quiet.certificate], [0, false, "valid"]);
    assert.deepEqual(wrong, []);
    await context.close();
  });

  test("the page is light and asks nobody else", async () => {
    const { page, wrong, context } = await open(ANI);
    const weight = await page.evaluate(() => {
      const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      return loaded.filter((one) => !one.name.includes("/control/")).reduce((sum, one) => sum + one.decodedBodySize, 0);
    });
    assert.ok(weight > 50_000 && weight <= MAX_WEIGHT, `${weight} bytes`);
    assert.deepEqual(wrong, []);
    await context.close();
  });
});
