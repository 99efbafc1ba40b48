#!/usr/bin/env node
// The pictures of the README, of the demonstration as it runs.
//
//     node scripts/browser/pictures.mjs target/debug/maraude docs/pictures
//
// Starts `maraude demo` in a fresh directory and on free ports of loopback, and takes the map with a taxi, why a
// customer does not see it, and a hail's time line. Exits with 1 where the README shows others than these, where one is
// blank, or where one has another size than that in `docs/pictures`, when they are taken elsewhere.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { require } from "./modules.mjs";
import { PICTURES } from "./source.mjs";
import { freePort } from "./world.mjs";

const { chromium } = require("playwright-core");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHOWN = new URL("../../docs/pictures", import.meta.url).pathname;
const START_MS = 60_000;
// Of whatever is awaited on a page, on a busy machine.
const PATIENCE_MS = 60_000;
// A page that failed to be drawn has fewer: its ground, and the edges of no letter.
const COLOURS_MIN = 32;
// How much higher or lower a picture may be where a machine has other fonts.
const HIGHER = 0.1;
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

async function logIn(page, name, password) {
  await page.goto("/console/login");
  await page.getByLabel("Identifiant").fill(name);
  await page.getByLabel("Mot de passe").fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console");
}

// A taxi on the map, and, check by check, whether a customer beside it is offered it.
async function takeMap(page, take) {
  await page.goto("/console/map");
  await page.locator("#map[data-taxis]").waitFor();
  await page.setViewportSize({ width: 1200, height: 1500 });
  await page.getByRole("button", { name: /^Choisir le taxi/ }).first().click();
  await page.locator("#card dl").first().waitFor();
  // The map comes to the taxi; the customer stands beside it.
  await page.waitForFunction(() => {
    const map = document.getElementById("map")._fullLayout.map._subplot.map;
    return !map.isMoving() && map.getZoom() > 0;
  });
  await page.evaluate(() => scrollTo(0, 0));
  const middle = await page.locator("#map").boundingBox();
  await page.mouse.click(middle.x + middle.width / 2 + 30, middle.y + middle.height / 2 + 25);
  await page.locator("#answer .checks").waitFor();
  // All that the map was handed is drawn.
  await page.locator("#map[data-waiting='0']").waitFor();
  await take("map");
  await take("checks", page.locator("#visibility"));
  await page.setViewportSize({ width: 1200, height: 800 });
}

// A hail that has just begun.
async function takeHail(page, take, url, key) {
  const headers = { "X-Api-Key": key, "X-Version": "2", "Content-Type": "application/json" };
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
  await page.goto(`/console/hails/${hail.id}`);
  await take("hail");
}

// How many colours a picture has, and its size in pixels.
async function look(page, png) {
  return page.evaluate(async (address) => {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    const canvas = new OffscreenCanvas(width, height).getContext("2d");
    canvas.drawImage(picture, 0, 0);
    const colours = new Set(new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer)).size;
    return { colours, width, height };
  }, `data:image/png;base64,${png.toString("base64")}`);
}

// What is wrong with the pictures that were taken.
async function judge(page, taken) {
  const wrong = [];
  if (taken.join() !== PICTURES.join()) wrong.push(`${taken} were taken, and the README shows ${PICTURES}`);
  for (const name of taken) {
    const { colours, width, height } = await look(page, readFileSync(join(folder, `${name}.png`)));
    console.log(`${name}: ${width} x ${height}, ${colours} colours`);
    if (colours < COLOURS_MIN) wrong.push(`${name} is blank`);
    if (folder === SHOWN || !PICTURES.includes(name)) continue;
    const shown = await look(page, readFileSync(join(SHOWN, `${name}.png`)));
    const isAlike = shown.width === width && Math.abs(shown.height / height - 1) <= HIGHER;
    if (!isAlike) wrong.push(`${name} is ${shown.width} x ${shown.height} in ${SHOWN}`);
  }
  return wrong;
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
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const taken = [];
    const take = async (name, part = page) => {
      await part.screenshot({ path: join(folder, `${name}.png`) });
      taken.push(name);
    };
    await logIn(page, "operator-a", said.password);
    await takeMap(page, take);
    await context.clearCookies();
    await logIn(page, "admin", said.password);
    await takeHail(page, take, url, said.keys.app);
    const wrong = await judge(await (await browser.newContext()).newPage(), taken);
    wrong.forEach((what) => console.log(what));
    process.exitCode = wrong.length ? 1 : 0;
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
