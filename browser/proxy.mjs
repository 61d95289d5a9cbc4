// Tests the dashboard as used over the internet: a proxy terminates TLS and serves the gateway
// below a path of a shop's site. WAVIRO=target/debug/waviro WA_SIM=target/debug/wa-sim node --test
// browser/proxy.mjs

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { openPage, startBrowser, startProgram } from "./lib.mjs";

const PASSWORD = "kata sandi yang panjang";
const BASE = "/wa";
const OWNER = "6281200000001";

let browser;
let folder;
let sim;
let gateway;
let proxy;
/** The address of the site in the browser. */
let site;
/** The setup link of the first user, as printed by the gateway. */
let first;
/** The requests that the proxy forwarded, to check for requests that must not happen. */
const asked = [];

/** Creates a self-signed certificate for this machine. */
async function certificate() {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder, name));
  await promisify(execFile)("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=toko.test",
    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert,
  ]);
  return { key: await readFile(key), cert: await readFile(cert) };
}

/** Starts a proxy in the documented configuration: the path unchanged, plus host and scheme. */
async function startProxy(to) {
  const server = createServer(await certificate(), (from, answer) => {
    asked.push(from.url);
    const headers = { ...from.headers, "x-forwarded-host": from.headers.host, "x-forwarded-proto": "https", host: to.host };
    const on = request({ host: to.hostname, port: to.port, method: from.method, path: from.url, headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
    });
    on.on("error", () => answer.destroy());
    answer.on("close", () => on.destroy());
    from.pipe(on);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Fetches the QR code of the bot with this key from the API, without the proxy. */
async function code(key) {
  const answer = await fetch(`${first.origin}${BASE}/api/getqr`, { method: "POST", headers: { SecretKey: key }, body: "" });
  const said = await answer.json();
  assert.match(said.message?.qrcode ?? "", /^2@/u, JSON.stringify(said));
  return said.message.qrcode;
}

before(async () => {
  for (const program of ["WAVIRO", "WA_SIM"]) assert.ok(process.env[program], `${program} must name a program`);
  folder = await mkdtemp(join(tmpdir(), "waviro-proxy-"));
  browser = await startBrowser();
  sim = await startProgram(process.env.WA_SIM, ["--listen", "127.0.0.1:0", "--seed", "7"], /phones at\s+(http:\S+?)\/\s/u);
  const key = await (await fetch(`${sim.found}/control/key`)).json();
  const config = join(folder, "waviro.toml");
  await writeFile(config, [
    `data_dir = "${join(folder, "data")}"`,
    `server.listen = "127.0.0.1:0"`,
    `server.base_path = "${BASE}"`,
    `whatsapp.url = "${sim.found.replace("http", "ws")}/ws/chat"`,
    `whatsapp.server_key = "${key.server_key}"`,
  ].join("\n"));
  gateway = await startProgram(process.env.WAVIRO, ["--config", config, "serve"], /(http:\S+token=\S+)/u);
  first = new URL(gateway.found);
  proxy = await startProxy(first);
  site = `https://127.0.0.1:${proxy.address().port}`;
});

after(async () => {
  await browser?.close();
  proxy?.closeAllConnections();
  proxy?.close();
  await gateway?.stop();
  await sim?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("behind a proxy with TLS, below a path", () => {
  test("the dashboard is entered, links a bot before one's eyes, and stays below its path", async () => {
    const { page, context, wrong } = await openPage(browser, `${site}${first.pathname}${first.search}`, { ignoreHTTPSErrors: true });
    await page.fill("#password", PASSWORD);
    await page.fill("#again", PASSWORD);
    await page.click("button.strong");
    await page.waitForURL(`${site}${BASE}/dashboard`);
    const [session] = (await context.cookies()).filter((cookie) => cookie.httpOnly);
    assert.equal(session.name, "__Host-waviro");
    assert.ok(session.secure);

    await page.fill("#name", "toko");
    await page.click("form.row button.strong");
    const key = await page.inputValue("#key");
    await page.click("a.strong");
    await page.click("form button.strong");
    await page.waitForSelector(".qr img");
    assert.ok(await page.evaluate(() => document.querySelector(".qr img").naturalWidth > 0), "the code is a picture");
    // The page must update through the proxy without a click.
    const added = await fetch(`${sim.found}/control/phones`, { method: "POST", body: JSON.stringify({ number: OWNER, name: "Toko" }) });
    assert.ok(added.ok);
    const scanned = await fetch(`${sim.found}/control/phones/${OWNER}/scan`, { method: "POST", body: JSON.stringify({ qr: await code(key) }) });
    assert.ok(scanned.ok, await scanned.text());
    await page.waitForSelector(".state.good");

    await page.goto(`${site}${BASE}/dashboard/bots/1/send`);
    await page.fill("#to", OWNER);
    await page.fill("#text", "Halo dari balik proksi");
    await page.click("form.stack button.strong");
    // A program sends the same call to the same address.
    const sample = await page.textContent("#code-curl");
    assert.ok(sample.includes(`${site}${BASE}/api/sendwa`), sample);

    for (const link of await page.$$eval("a[href], form[action], img[src], link[href], script[src]", (all) => all.map((one) => one.href ?? one.action ?? one.src))) {
      const { protocol, origin, pathname } = new URL(String(link));
      if (protocol === "data:") continue;
      assert.equal(origin, site, String(link));
      assert.ok(pathname.startsWith(`${BASE}/`), String(link));
    }
    await page.click("summary");
    await page.click("form[action$='/logout'] button");
    await page.waitForURL(`${site}${BASE}/dashboard/login`);
    assert.deepEqual((await context.cookies()).filter((cookie) => cookie.httpOnly), []);
    assert.deepEqual(wrong, []);
    assert.deepEqual(asked.filter((path) => !path.startsWith(`${BASE}/`)), [], "nothing beside the path is asked for");
    await context.close();
  });

  for (const [where, other] of [["another site", "localhost"], ["another port of the same host", "127.0.0.1"]]) {
    test(`a form of ${where} does nothing`, async (t) => {
      const { page, context } = await openPage(browser, `${site}${BASE}/dashboard/login`, { ignoreHTTPSErrors: true });
      await page.fill("#name", "admin");
      await page.fill("#password", PASSWORD);
      await page.click("button.strong");
      await page.waitForURL(`${site}${BASE}/dashboard`);

      const form = `<form method="post" action="${site}${BASE}/dashboard"><input name="name" value="asing"><button>Hadiah</button></form>`;
      const elsewhere = createServer(await certificate(), (_, answer) => answer.setHeader("content-type", "text/html").end(form));
      await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
      t.after(() => {
        elsewhere.closeAllConnections();
        elsewhere.close();
      });
      await page.goto(`https://${other}:${elsewhere.address().port}/`);
      const answered = page.waitForResponse((response) => response.request().method() === "POST");
      await page.click("button");
      assert.equal((await answered).status(), 403);

      await page.goto(`${site}${BASE}/dashboard`);
      const names = await page.textContent("main");
      assert.ok(names.includes("toko") && !names.includes("asing"), names);
      await context.close();
    });
  }
});
