#!/usr/bin/env node
// The pictures of the README, of the demonstration as it runs.
//
//     node scripts/browser/pictures.mjs target/debug/maraude docs/pictures
//
// Starts `maraude demo` in a fresh directory and on free ports of loopback, and takes the map with a taxi, why a
// customer does not see it, and a hail's time line.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { require } from "./modules.mjs";
import { freePort } from "./world.mjs";

const { chromium } = require("playwright-core");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const START_MS = 60_000;
// What each says of itself in the demonstration's list of accounts: name, role, key.
const ACCOUNT = /^ {2}(\S+) +(\S+) +([0-9a-f-]{36})$/;

const [binary, folder] = process.argv.slice(2).map((path) => resolve(path));

// Until the demonstration has said all that is needed.
async function demonstrate(data, port) {
  const settings = ["--data-dir", data, "--http", `127.0.0.1:${port}`, "--udp", "127.0.0.1:0"];
  const demo = spawn(binary, ["demo", "--taxis", "800", ...settings], { stdio: ["ignore", "pipe", "inherit"] });
  const said = { keys: {}, password: null };
  const lines = createInterface({ input: demo.stdout });
  const whole = new Promise((done, failed) => {
    demo.once("exit", () => failed(new Error("the demonstration ended")));
    setTimeout(() => failed(new Error("the demonstration says nothing")), START_MS).unref();
    lines.on("line", (line) => {
      said.password ??= line.match(/password (\S+)\)/)?.[1];
      const [, name, , key] = line.match(ACCOUNT) ?? [];
      if (name) said.keys[name] = key;
      if (/taxis online +[1-9]/.test(line)) done();
    });
  });
  return { demo, said, whole };
}

async function main() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const data = mkdtempSync(join(tmpdir(), "maraude-pictures-"));
  mkdirSync(folder, { recursive: true });
  const { demo, said, whole } = await demonstrate(data, port);
  let browser;
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => demo.kill("SIGTERM"));
  try {
    await whole;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    const context = await browser.newContext({ baseURL: url, locale: "fr-FR", viewport: { width: 1200, height: 800 } });
    const page = await context.newPage();
    const take = (name) => page.screenshot({ path: join(folder, `${name}.png`) });

    await page.goto("/console/login");
    await page.getByLabel("Identifiant").fill("operator-a");
    await page.getByLabel("Mot de passe").fill(said.password);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/console");

    await page.goto("/console/map");
    await page.locator("#map[data-taxis]").waitFor();
    await page.getByRole("button", { name: /^Choisir le taxi/ }).first().click();
    await page.locator("#card dl").first().waitFor();
    await page.setViewportSize({ width: 1200, height: 1500 });
    // The map comes to the taxi; the customer stands beside it.
    await page.waitForTimeout(1500);
    await page.evaluate(() => scrollTo(0, 0));
    const middle = await page.locator("#map").boundingBox();
    await page.mouse.click(middle.x + middle.width / 2 + 30, middle.y + middle.height / 2 + 25);
    await page.locator("#answer .checks").waitFor();
    await take("map");
    await page.locator("#visibility").screenshot({ path: join(folder, "checks.png") });
    await page.setViewportSize({ width: 1200, height: 800 });

    const headers = { "X-Api-Key": said.keys.app, "X-Version": "2", "Content-Type": "application/json" };
    const call = async (method, path, element) => {
      const body = element && JSON.stringify({ data: [element] });
      const answer = await fetch(url + path, { method, headers, body });
      if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
      return (await answer.json()).data[0];
    };
    const place = { lat: 48.8566, lon: 2.3522 };
    const taxi = await call("GET", `/taxis?lat=${place.lat}&lon=${place.lon}`);
    const hail = await call("POST", "/hails", {
      customer_id: "anne", customer_lat: place.lat, customer_lon: place.lon, customer_address: "Hôtel de Ville",
      customer_phone_number: "0600000000", taxi_id: taxi.id, operateur: taxi.operator,
    });
    await context.clearCookies();
    await page.goto("/console/login");
    await page.getByLabel("Identifiant").fill("admin");
    await page.getByLabel("Mot de passe").fill(said.password);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/console");
    await page.goto(`/console/hails/${hail.id}`);
    await take("hail");
  } finally {
    await browser?.close();
    demo.removeAllListeners("exit");
    const ended = new Promise((end) => demo.once("exit", end));
    demo.kill("SIGTERM");
    await ended;
    rmSync(data, { recursive: true, force: true });
  }
}

await main();
