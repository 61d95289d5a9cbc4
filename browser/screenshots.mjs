// Takes the pictures for docs/screenshots: WAVIRO=target/debug/waviro node browser/screenshots.mjs
// docs/screenshots

import { createServer } from "node:http";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { openPage, startBrowser, startProgram } from "./lib.mjs";

const PASSWORD = "kata sandi yang panjang";
const [folder = "docs/screenshots"] = process.argv.slice(2);
const LOOKS = [
  { name: "light", theme: "light", viewport: { width: 1200, height: 800 } },
  { name: "dark", theme: "dark", viewport: { width: 1200, height: 800 } },
  { name: "phone", theme: "light", viewport: { width: 360, height: 740 } },
];

/** An endpoint whose first answer is an error. */
async function endpoint() {
  let calls = 0;
  const server = createServer((request, answer) => {
    request.resume();
    calls += 1;
    answer.writeHead(calls < 2 ? 500 : 200).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/kabar.php`, stop: () => server.close() };
}

const browser = await startBrowser();
const { found, stop } = await startProgram(process.env.WAVIRO, ["sandbox", "--json", "--listen", "127.0.0.1:0", "--sim", "127.0.0.1:0"], /^(\{.*\})$/mu);
const world = JSON.parse(found);
const hook = await endpoint();
const home = world.dashboard.replace(/\/setup.*/u, "");

async function call(url, headers, body) {
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const api = (path, body) => call(`${world.gateway}${path}`, { SecretKey: world.bots[0].secret_key }, body);
const admin = (path, body) => call(`${world.gateway}${path}`, { Authorization: `Bearer ${world.admin_token}` }, body);
const phone = (number, what) => call(`${world.sim}/control/phones/${number}/send`, {}, what);

const { page, context } = await openPage(browser, world.dashboard, { also: [world.sim] });
await mkdir(folder, { recursive: true });
const shoot = async (name) => {
  for (const look of LOOKS) {
    await context.addCookies([{ name: "waviro_theme", value: look.theme, url: world.gateway }]);
    await page.setViewportSize(look.viewport);
    await page.emulateMedia({ colorScheme: look.theme });
    await page.reload();
    await page.screenshot({ path: join(folder, `${name}-${look.name}.png`), fullPage: true });
  }
};
const visit = async (name, url) => {
  await page.goto(url);
  await shoot(name);
};

await shoot("1-setup");
await page.fill("#password", PASSWORD);
await page.fill("#again", PASSWORD);
await page.click("button.strong");
await page.waitForURL(/\/dashboard$/u);

const [ani, budi] = world.phones.map((known) => known.number);
await admin("/v1/bots/toko/rules", { keyword: "harga#", url: hook.url });
await admin("/v1/bots/toko/rules", { keyword: "", url: hook.url });
const first = await api("/api/sendwa", { nohp: ani, pesan: "Pesanan Anda sudah dikirim.", notifyurl: hook.url });
await api("/api/sendlocation", { nohp: budi, latitude: -6.1754, longitude: 106.8272, pesan: "Monas" });
await api("/api/sendcontact", { nohp: ani, contact: { name: "Kasir", numbers: ["6281200000001"] } });
await phone(ani, { to: "6281200000001", text: "harga#kopi" });
await phone(budi, { to: "6281200000001", text: "Apakah buka hari Minggu?" });
await admin("/v1/bots", { name: "cabang" });
await admin("/v1/bots/cabang/relink", {});
// The first callback fails; the gateway retries after five seconds.
await new Promise((resolve) => setTimeout(resolve, 8000));

await visit("2-bots", home);
await visit("3-link", `${home}/bots/2/link`);
await visit("4-send", `${home}/bots/1/send`);
await visit("5-messages", `${home}/bots/1/messages`);
await visit("6-timeline", `${home}/bots/1/messages/${first.message.id}`);
await visit("7-deliveries", `${home}/bots/1/deliveries`);
await visit("8-rules", `${home}/bots/1/rules`);
for (const look of LOOKS) {
  await page.setViewportSize(look.viewport);
  await page.emulateMedia({ colorScheme: look.theme });
  await page.goto(`${world.sim}/?phone=${ani}`);
  await page.locator("[data-chat]").first().waitFor({ state: "attached" });
  if (!(await page.locator("[data-chat]").first().isVisible())) await page.locator(`[data-phone="${ani}"]`).first().click();
  await page.locator("[data-chat]").first().click();
  await page.locator("textarea").waitFor();
  await page.screenshot({ path: join(folder, `9-phones-${look.name}.png`) });
}
await visit("10-settings", `${home}/bots/1/settings`);
await visit("11-users", `${home}/users`);
await visit("12-bot", `${home}/bots/1`);

await browser.close();
hook.stop();
await stop();
