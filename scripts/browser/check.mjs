#!/usr/bin/env node
// The console in Debian's Chromium, each page as each role.
//
//     node scripts/browser/check.mjs target/debug/maraude [--pictures FOLDER] [--only PART-OF-A-PATH]
//
// Starts `maraude serve` on SQLite in a fresh directory and on free ports of loopback. Each page of
// `scripts/browser/pages.mjs` is shown to whom it is for: without an error on the console or a request to another host,
// accessible on level AA by axe-core, usable by keyboard, no wider than 360 pixels, and with names made of HTML shown
// as text. To others it is refused. Exits with 1 where something is found. `--pictures` keeps one of each page.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { accessible, keyboard, listen, narrow, textual } from "./checks.mjs";
import { require } from "./modules.mjs";
import { OTHERS, PAGES, ROLES } from "./pages.mjs";
import { STORIES } from "./stories.mjs";
import { PASSWORD, World } from "./world.mjs";

const { chromium } = require("playwright-core");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SOURCE = new URL("../../api/src/console.rs", import.meta.url);
// Of a page, and of what is awaited on it.
const PATIENCE_MS = 20_000;

const { values, positionals } = parseArgs({
  options: { pictures: { type: "string" }, only: { type: "string" } },
  allowPositionals: true,
});
const found = [];
const note = (where, wrong) => {
  for (const what of wrong) {
    found.push(what);
    console.log(`${where}: ${what}`);
  }
};

// Each route has its line, and each line its route.
function forgotten() {
  const routes = [...readFileSync(SOURCE, "utf8").matchAll(/\.route\(\s*"([^"]+)"/g)].map(([, path]) => path);
  const lines = [...PAGES.map((page) => page.path), ...OTHERS];
  const missing = routes.filter((path) => !lines.includes(path)).map((path) => `${path} is missing in pages.mjs`);
  return missing.concat(lines.filter((path) => !routes.includes(path)).map((path) => `${path} is no route`));
}

async function logIn(browser, world, role) {
  const viewport = { width: 1280, height: 800 };
  const context = await browser.newContext({ baseURL: world.url, locale: "fr-FR", viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  if (role === null) return context;
  const page = await context.newPage();
  await page.goto("/console/login");
  await page.getByLabel("Identifiant").fill(role);
  await page.getByLabel("Mot de passe").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console");
  await page.close();
  return context;
}

async function visit(context, world, page, role) {
  const address = page.at ? page.at(world) : page.path;
  await page.before?.(world);
  const tab = await context.newPage();
  const wrong = listen(tab, world.url);
  const answer = await tab.goto(address);
  if (answer.status() !== 200) wrong.push(`is answered ${answer.status()}`);
  if (page.ready) await tab.locator(page.ready(role)).first().waitFor();
  wrong.push(...(await textual(tab, page.shows)));
  wrong.push(...(await accessible(tab)));
  wrong.push(...(await keyboard(tab)));
  wrong.push(...(await narrow(tab)));
  if (values.pictures) {
    const name = page.path.replace(/^\/console\/?/, "").replaceAll(/[^a-z]+/g, "-") || "home";
    await tab.screenshot({ path: join(values.pictures, `${name}-${role ?? "nobody"}.png`), fullPage: true });
  }
  await tab.close();
  note(`${address} as ${role}`, wrong);
}

// Whoever may not see a page is told so, and who is not logged in is led to where one does.
async function refused(context, world, page, role) {
  const address = page.at ? page.at(world) : page.path;
  const request = page.form ? { method: "POST", form: {} } : { method: "GET" };
  const answer = await context.request.fetch(address, { maxRedirects: 0, ...request });
  const isToLogIn = role === null && !page.form;
  const isRight = isToLogIn
    ? answer.status() === 303 && answer.headers().location.startsWith("/console/login?to=")
    : answer.status() === (page.hidden?.includes(role) ? 404 : 403);
  if (!isRight) note(`${address} as ${role}`, [`is answered ${answer.status()}, and should be refused`]);
}

async function main() {
  note("routes", forgotten());
  const world = new World();
  let browser;
  const end = async () => {
    await browser?.close();
    await world.stop();
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => end().finally(() => process.exit(1)));
  try {
    await world.begin(resolve(positionals[0]), ROLES);
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    for (const role of [...ROLES, null]) {
      const context = await logIn(browser, world, role);
      for (const page of PAGES.filter((page) => !values.only || page.path.includes(values.only))) {
        if (page.roles?.includes(role) && page.data) continue;
        if (page.roles?.includes(role)) await visit(context, world, page, role);
        else await refused(context, world, page, role);
      }
      await context.close();
    }
    for (const [name, tell] of Object.entries(STORIES)) {
      if (values.only && !name.includes(values.only)) continue;
      const wrong = await tell(world, (role) => logIn(browser, world, role)).catch((error) => [error.stack]);
      note(name, wrong ?? []);
    }
  } finally {
    await end();
  }
  const all = `${PAGES.length} lines as ${ROLES.length} roles and as nobody`;
  console.log(`${all}: ${found.length || "nothing"} found`);
  process.exitCode = found.length ? 1 : 0;
}

await main();
