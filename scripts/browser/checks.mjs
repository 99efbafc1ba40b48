// What holds for every page, whoever looks at it. Each check gives what is wrong, in words.
import { readFileSync } from "node:fs";
import { require } from "./modules.mjs";

const AXE = readFileSync(require.resolve("axe-core"), "utf8");
const LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SMALL = { width: 360, height: 740 };
const LARGE = { width: 1280, height: 800 };
const STOPS_MAX = 80;
// What no French text has in it.
const ENGLISH = /(?<![\p{L}\d_])(the|is|are|was|must|and|of|with|not|unknown|missing|invalid)(?![\p{L}\d_])/iu;
// What Chromium's software rendering says of itself.
const DRIVER = /GL Driver Message|WebGL.*(?:ReadPixels|fallback)|GPU stall/;

// Notes what a page says and asks for; gives what of it is wrong.
export function listen(page, base) {
  const wrong = [];
  page.on("console", (message) => {
    const isBad = ["error", "warning"].includes(message.type()) && !DRIVER.test(message.text());
    if (isBad) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error.stack ?? error}`));
  page.on("request", (request) => {
    const url = request.url();
    const isOurs = url.startsWith(`${base}/`) || /^(data|blob):/.test(url);
    if (!isOurs) wrong.push(`request elsewhere: ${url}`);
  });
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // A stream ends with its page.
    if (why !== "net::ERR_ABORTED") wrong.push(`request failed: ${request.url()} ${why}`);
  });
  return wrong;
}

// Level AA, in light and in dark.
export async function accessible(page) {
  const wrong = [];
  await page.evaluate(AXE);
  for (const [colorScheme, options] of [
    ["light", { runOnly: { type: "tag", values: LEVELS } }],
    ["dark", { runOnly: { type: "rule", values: ["color-contrast"] } }],
  ]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
    for (const { id, nodes } of violations) {
      wrong.push(...nodes.map((node) => `${colorScheme} ${id}: ${node.html} (${node.failureSummary})`));
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  return wrong;
}

// Nothing is wider than a small screen.
export async function narrow(page) {
  await page.setViewportSize(SMALL);
  const wide = await page.evaluate((width) => {
    if (document.scrollingElement.scrollWidth <= width) return [];
    const isBeyond = (one) => one.getBoundingClientRect().right > width && !one.closest(".scroll, .code, pre");
    const beyond = [...document.body.querySelectorAll("*")].filter(isBeyond);
    const first = beyond.slice(0, 5).map((one) => one.outerHTML.slice(0, 120));
    return [`${document.scrollingElement.scrollWidth} px wide`, ...first];
  }, SMALL.width);
  await page.setViewportSize(LARGE);
  return wide.map((what) => `at ${SMALL.width} px: ${what}`);
}

// By Tab one comes to the skip link first, then to whatever can be used, and sees where one is.
export async function keyboard(page) {
  const wrong = [];
  await page.evaluate(() => document.activeElement?.blur());
  const stops = await page.evaluate(() => {
    const usable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    const seen = [...document.querySelectorAll(usable)].filter((one) => !one.disabled && one.checkVisibility());
    // Of radio buttons of one name there is one stop.
    return seen.filter((one) => one.type !== "radio" || one.checked).length;
  });
  // A date has several stops.
  for (let stop = 0, reached = 0; reached < Math.min(stops, STOPS_MAX); stop += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      const isThere = box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth;
      const [isSkip, isBody] = [one.matches(".skip"), one === document.body];
      const isAgain = (window.stops ??= new Set()).has(one) && one.type !== "date";
      window.stops.add(one);
      const what = one.outerHTML.slice(0, 120);
      return { isAgain, reached: window.stops.size, what, isSkip, isBody, isSeen: isOutlined && isThere };
    });
    reached = seen.reached;
    if (seen.isBody) {
      wrong.push(`keyboard: ${reached} of ${stops} can be reached`);
      break;
    }
    if (seen.isAgain) {
      wrong.push(`keyboard: after ${reached} of ${stops} one is again at ${seen.what}`);
      break;
    }
    if (!seen.isSeen) wrong.push(`keyboard: one does not see that it is at ${seen.what}`);
    if (stop === 0) {
      if (!seen.isSkip) wrong.push(`keyboard: first comes ${seen.what}`);
      await page.keyboard.press("Enter");
      const arrived = await page.evaluate(() => document.activeElement.matches("main"));
      if (!arrived) wrong.push("keyboard: the skip link leads nowhere");
      await page.evaluate(() => document.querySelector(".skip").focus());
    }
  }
  return wrong;
}

// Nothing of a name in HTML was taken for more than text, and these texts are in what the page itself says.
export async function textual(page, shows = []) {
  const wrong = [];
  const [isTaken, text] = await page.evaluate(() => {
    const main = document.querySelector("main");
    const values = [...main.querySelectorAll("input, textarea, option")].map((one) => one.value);
    const isTaken = window.hostile !== undefined || document.querySelector("img[src=x], s") !== null;
    return [isTaken, [main.textContent, ...values].join("\n")];
  });
  if (isTaken) wrong.push("a name was taken for HTML");
  wrong.push(...shows.filter((one) => !text.includes(one)).map((one) => `does not show ${one}`));
  return wrong;
}

// All that people read is French, but what says that it is English, or is code.
export async function french(page) {
  const texts = await page.evaluate(() => {
    const isApart = (one) => one.closest("code, pre, script, noscript, textarea, [lang=en]") !== null;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [document.title];
    while (walker.nextNode()) {
      const { parentElement, data } = walker.currentNode;
      if (!isApart(parentElement)) texts.push(data);
    }
    for (const name of ["aria-label", "title", "alt", "placeholder"]) {
      const having = [...document.querySelectorAll(`[${name}]`)].filter((one) => !isApart(one));
      texts.push(...having.map((one) => one.getAttribute(name)));
    }
    return texts;
  });
  return texts.filter((text) => ENGLISH.test(text)).map((text) => `is not in French: ${text.trim().slice(0, 200)}`);
}

// Nothing is empty that is there to say something, and a page has one heading above all others.
export async function filled(page) {
  const [empty, heads] = await page.evaluate(() => {
    const named = "h1, h2, h3, nav, ul, ol, dl, thead, caption, legend, a[href], button, label, summary";
    const isEmpty = (one) => one.textContent.trim() === "" && !one.getAttribute("aria-label");
    const empty = [...document.querySelectorAll(named)].filter((one) => one.checkVisibility() && isEmpty(one));
    return [empty.map((one) => one.outerHTML.slice(0, 120)), document.querySelectorAll("h1").length];
  });
  const wrong = empty.map((one) => `is empty: ${one}`);
  if (heads !== 1) wrong.push(`has ${heads} headings of the first level`);
  return wrong;
}

// Where a page leads on this server; and what it says is further down, and is not.
export function links(page) {
  return page.evaluate(() => {
    const [paths, lost] = [new Set(), []];
    for (const link of document.querySelectorAll("a[href]")) {
      if (link.origin !== location.origin) continue;
      const isHere = link.pathname === location.pathname && link.search === location.search;
      const part = decodeURIComponent(link.hash.slice(1));
      if (!isHere) paths.add(link.pathname + link.search + link.hash);
      else if (part && !document.getElementById(part)) lost.push(`leads to ${link.hash}, which is not there`);
    }
    return [[...paths], lost];
  });
}

// The elements of a page, without what they say: pages that have the same are alike to a keyboard and to axe-core.
export function skeleton(page) {
  return page.evaluate(() => {
    const html = document.documentElement.outerHTML;
    return html.replace(/(?<! class)="[^"]*"/g, "").replace(/>[^<]*</g, "><");
  });
}

// Shows what a page keeps folded.
export function unfold(page) {
  return page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
}

// All of this at once, of a page that somebody has come to.
export async function inspect(page, shows = []) {
  await unfold(page);
  const wrong = await textual(page, shows);
  for (const check of [french, filled, accessible, keyboard, narrow]) wrong.push(...(await check(page)));
  return wrong;
}
