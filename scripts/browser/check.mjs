#!/usr/bin/env node
// The console in Debian's Chromium, each page as each role, and as who manages others.
//
//     node scripts/browser/check.mjs target/debug/maraude [--pictures FOLDER] [--only PART-OF-A-PATH]
//
// Starts `maraude serve` on SQLite in a fresh directory and on free ports of loopback. Each page of
// `scripts/browser/pages.mjs` is shown to whom it is for: without an error on the console or a request to another host,
// accessible on level AA by axe-core, usable by keyboard, no wider than 360 pixels, in French, with nothing empty, and
// with names made of HTML shown as text; and whatever it leads to is there. To others it is refused. Exits with 1 where
// something is found. `--pictures` keeps one of each page.
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { accessible, filled, french, keyboard, links, listen, narrow, skeleton, textual, unfold } from "./checks.mjs";
import { require } from "./modules.mjs";
import { ACCOUNTS, OTHERS, PAGES } from "./pages.mjs";
import { ROLES, ROUTES } from "./source.mjs";
import { PATIENT, STORIES } from "./stories.mjs";
import { PASSWORD, World, hostile } from "./world.mjs";

const { chromium } = require("playwright-core");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Of a page, and of what is awaited on it.
const PATIENCE_MS = 20_000;
// Accounts that look at the same time: what a server of two cores answers, and as many queries as it takes.
const AT_ONCE = 2;

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
// What was looked at with axe-core and by keyboard: pages of the same elements are alike to both, whoever sees them.
const looked = new Set();

// Each route has its line, and each line its route; whoever may see a page is somebody.
function forgotten() {
  const lines = [...PAGES.map((page) => page.path), ...OTHERS];
  const missing = ROUTES.filter((path) => !lines.includes(path)).map((path) => `${path} is missing in pages.mjs`);
  const nobody = PAGES.flatMap(({ roles = [], hidden = [] }) => [...roles, ...hidden])
    .filter((account) => account !== null && !ACCOUNTS.includes(account));
  return missing
    .concat(lines.filter((path) => !ROUTES.includes(path)).map((path) => `${path} is no route`))
    .concat(nobody.map((account) => `${account} is no account`));
}

async function logIn(browser, world, account) {
  const viewport = { width: 1280, height: 800 };
  const context = await browser.newContext({ baseURL: world.url, locale: "fr-FR", viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  if (account === null) return context;
  const page = await context.newPage();
  await page.goto("/console/login");
  await page.getByLabel("Identifiant").fill(world.email(account));
  await page.getByLabel("Mot de passe").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console");
  await page.close();
  return context;
}

async function visit(context, world, page, account, leads) {
  const address = page.at ? page.at(world, account) : page.path;
  await page.before?.(world);
  const tab = await context.newPage();
  const wrong = listen(tab, world.url);
  const answer = await tab.goto(address);
  if (answer.status() !== 200) wrong.push(`is answered ${answer.status()}`);
  if (page.ready) await tab.locator(page.ready(account)).first().waitFor();
  await unfold(tab);
  const fields = typeof page.shows === "function" ? page.shows(account) : page.shows ?? [];
  wrong.push(...(await textual(tab, [...fields.map(hostile), ...(page.says?.(account) ?? [])])));
  for (const check of [french, filled]) wrong.push(...(await check(tab)));
  const [paths, lost] = await links(tab);
  paths.forEach((path) => leads.set(path, address));
  wrong.push(...lost);
  const what = `${page.path}\n${await skeleton(tab)}`;
  if (!looked.has(what)) {
    looked.add(what);
    for (const check of [accessible, keyboard]) wrong.push(...(await check(tab)));
  }
  wrong.push(...(await narrow(tab)));
  if (values.pictures) {
    const name = address.replace(/^\/(console\/?)?/, "").replaceAll(/[^a-z]+/g, "-") || "home";
    await tab.screenshot({ path: join(values.pictures, `${name}-${account ?? "nobody"}.png`), fullPage: true });
  }
  await tab.close();
  note(`${address} as ${account}`, wrong);
}

// Whoever may not see a page is told so, and who is not logged in is led to where one does.
async function refused(context, world, page, account) {
  const address = page.at ? page.at(world, account) : page.path;
  const request = page.form ? { method: "POST", form: {} } : { method: "GET" };
  const answer = await context.request.fetch(address, { maxRedirects: 0, ...request });
  const isToLogIn = account === null && !page.form;
  const isRight = isToLogIn
    ? answer.status() === 303 && answer.headers().location.startsWith("/console/login?to=")
    : answer.status() === (page.hidden?.includes(account) ? 404 : 403);
  if (!isRight) note(`${address} as ${account}`, [`is answered ${answer.status()}, and should be refused`]);
}

// Whatever the pages of an account lead to, it may see.
async function followed(context, account, leads) {
  for (const [path, from] of leads) {
    const [address, part] = path.split("#");
    const answer = await context.request.get(address);
    const isThere = answer.status() < 400 && (!part || (await answer.text()).includes(`id="${part}"`));
    if (!isThere) note(`${from} as ${account}`, [`leads to ${path}, which is answered ${answer.status()}`]);
  }
}

async function looks(browser, world, account) {
  const began = Date.now();
  const context = await logIn(browser, world, account);
  const leads = new Map();
  for (const page of PAGES.filter((page) => !values.only || page.path.includes(values.only))) {
    if (page.roles?.includes(account) && page.data) continue;
    const looking = page.roles?.includes(account)
      ? visit(context, world, page, account, leads)
      : refused(context, world, page, account);
    await looking.catch((error) => note(`${page.path} as ${account}`, [error.stack]));
  }
  await followed(context, account, leads);
  await context.close();
  console.log(`${account ?? "nobody"}: ${PAGES.length} lines in ${Math.round((Date.now() - began) / 1000)} s`);
}

// One story after the other.
async function tellAll(browser, world, stories) {
  for (const [name, tell] of Object.entries(stories)) {
    if (values.only && !name.includes(values.only)) continue;
    const wrong = await tell(world, (account) => logIn(browser, world, account)).catch((error) => [error.stack]);
    note(name, wrong ?? []);
    console.log(`told: ${name}`);
  }
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
    const patient = tellAll(browser, world, PATIENT);
    const waiting = [...ACCOUNTS, null];
    const turns = Array.from({ length: AT_ONCE }, async () => {
      while (waiting.length > 0) await looks(browser, world, waiting.shift());
    });
    await Promise.all(turns);
    await tellAll(browser, world, STORIES);
    await patient;
  } finally {
    await end();
  }
  const all = `${PAGES.length} lines as ${ACCOUNTS.length} accounts and as nobody, ${looked.size} pages that differ`;
  console.log(`${all}: ${found.length || "nothing"} found`);
  process.exitCode = found.length ? 1 : 0;
}

await main();
