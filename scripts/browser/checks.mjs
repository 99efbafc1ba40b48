// What holds for every page, whoever looks at it. Each check gives what is wrong, in words.
import { readFileSync } from "node:fs";
import { require } from "./modules.mjs";

const AXE = readFileSync(require.resolve("axe-core"), "utf8");
const LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SMALL = { width: 360, height: 740 };
const LARGE = { width: 1280, height: 800 };
const STOPS_MAX = 80;
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
    const beyond = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > width);
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
  for (let stop = 0; stop < Math.min(stops, STOPS_MAX); stop += 1) {
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      const isThere = box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth;
      const [isSkip, isBody] = [one.matches(".skip"), one === document.body];
      // A date has several stops.
      const isAgain = (window.stops ??= new Set()).has(one) && one.type !== "date";
      window.stops.add(one);
      return { isAgain, what: one.outerHTML.slice(0, 120), isSkip, isBody, isSeen: isOutlined && isThere };
    });
    if (seen.isBody) {
      wrong.push(`keyboard: ${stop} of ${stops} can be reached`);
      break;
    }
    if (seen.isAgain) {
      wrong.push(`keyboard: after ${stop} of ${stops} one is again at ${seen.what}`);
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

// Nothing of a name in HTML was taken for more than text.
export async function textual(page, shows) {
  const wrong = [];
  const [isTaken, text] = await page.evaluate(() => {
    const values = [...document.querySelectorAll("input, textarea, option")].map((one) => one.value);
    const isTaken = window.hostile !== undefined || document.querySelector("img[src=x]") !== null;
    return [isTaken, [document.body.textContent, ...values].join("\n")];
  });
  if (isTaken) wrong.push("a name was taken for HTML");
  if (shows && !text.includes(shows)) wrong.push(`does not show ${shows}`);
  return wrong;
}
