// Acceptance runs: of an operator and an app that do what they are asked to, and of an operator that does not.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { accessible, keyboard, listen, narrow } from "../checks.mjs";

const START_MS = 30_000;
// Of a whole run: in one hail of it nobody answers for half a minute.
const RUN_MS = 150_000;
const BEAT_MS = 500;
const OPERATOR_AT = { lat: 48.857, lon: 2.353 };
const APP_AT = { lat: 48.8461, lon: 2.3464 };
// What a taxi of the run is from the customer who stands where it waits, at most, in metres.
const HERE_M = 2;

// A demonstration of its own, whose integration account plays the other side.
class Demo {
  folder = mkdtempSync(join(tmpdir(), "maraude-recette-"));
  keys = {};

  async begin(binary) {
    const addresses = ["--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--data-dir", join(this.folder, "data")];
    const flags = ["demo", "--taxis", "3", "--searches", "0", ...addresses];
    this.child = spawn(binary, flags, { stdio: ["ignore", "pipe", "inherit"] });
    this.ended = new Promise((end) => this.child.once("exit", end));
    process.once("exit", () => this.child.kill("SIGKILL"));
    const late = setTimeout(() => this.child.kill("SIGKILL"), START_MS);
    for await (const line of createInterface({ input: this.child.stdout })) {
      const [, http, udp] = line.match(/^ {2}http {2}(\S+) +udp {2}\S+:(\d+)$/) ?? [];
      if (http) [this.url, this.udp] = [http, Number(udp)];
      const [, password] = line.match(/, password (\S+)\)$/) ?? [];
      if (password) this.password = password;
      const [, account, key] = line.match(/^ {2}(\S+) +\S+ +([0-9a-f-]{36})$/) ?? [];
      if (account) this.keys[account] = key;
      if (line.startsWith("curl")) break;
    }
    clearTimeout(late);
    if (!this.url || !this.password) throw new Error("the demonstration did not begin");
    this.child.stdout.resume();
  }

  async answer(account, method, path, body = undefined, more = {}) {
    const headers = { "X-Api-Key": this.keys[account], "Content-Type": "application/json", ...more };
    const element = body && JSON.stringify({ data: [body] });
    const answer = await fetch(this.url + path, { method, headers, body: element });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  }

  async list(account, path) {
    const { status, body } = await this.answer(account, "GET", path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return body.data;
  }

  async send(account, method, path, element) {
    const { status, body } = await this.answer(account, method, path, element);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body.data[0];
  }

  // A taxi of the operator's that nothing but its program here drives.
  async register(account) {
    const [licence, plate, ads] = ["recette", "RE-123-CE", "recette"];
    const parts = {
      "/drivers": { first_name: "R", last_name: "R", professional_licence: licence, departement: { numero: "75" } },
      "/vehicles": { licence_plate: plate, model: "R" },
      "/ads": { numero: ads, insee: "75056" },
    };
    for (const [path, part] of Object.entries(parts)) await this.send(account, "POST", path, part);
    const driver = { professional_licence: licence, departement: "75" };
    const taxi = { driver, vehicle: { licence_plate: plate }, ads: { numero: ads, insee: "75056" } };
    const { id } = await this.send(account, "POST", "/taxis", taxi);
    await this.send(account, "PUT", `/taxis/${id}`, { status: "free" });
    return id;
  }

  async stop() {
    this.child?.kill("SIGINT");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A position in a datagram, signed with the operator's key.
function datagram(operator, key, taxi, { lat, lon }) {
  const [timestamp, version, device, status] = [String(Math.floor(Date.now() / 1_000)), "2", "phone", "free"];
  const signed = [timestamp, operator, taxi, lat, lon, device, status, version, key].join("");
  const hash = createHash("sha1").update(signed).digest("hex");
  const place = { lat: String(lat), lon: String(lon) };
  return JSON.stringify({ timestamp, operator, version, ...place, device, taxi, status, hash });
}

// What an operator does with a hail that stands so, by what its customer is there to try.
function reply({ customer_id, status, reporting_customer }) {
  const trial = customer_id.split("-").at(-1);
  const declined = { status: "declined_by_taxi", declined_by_taxi_reason: "prior_booking" };
  const accepted = { status: "accepted_by_taxi", taxi_phone_number: "0612345678" };
  switch (`${trial} ${status}`) {
    case `${trial} sent_to_operator`: return { status: "received_by_operator" };
    case `${trial} received_by_operator`: return { status: "received_by_taxi" };
    case "ride received_by_taxi":
    case "incident received_by_taxi": return accepted;
    case "refuse received_by_taxi":
    case "report received_by_taxi": return declined;
    case "ride accepted_by_customer": return { status: "customer_on_board" };
    case "ride customer_on_board": return { status: "finished" };
    case "incident accepted_by_customer": return { status: "incident_taxi", incident_taxi_reason: "breakdown" };
    case "report declined_by_taxi":
      return reporting_customer === null && { reporting_customer: true, reporting_customer_reason: "no_show" };
    default: return null;
  }
}

// An operator's program, until it is over: it says where its taxi is, answers hails, and takes it into service again.
async function operate(demo, operator, taxi, isOver) {
  const device = createSocket("udp4");
  while (!isOver()) {
    device.send(datagram(operator, demo.keys[operator], taxi, OPERATOR_AT), demo.udp, "127.0.0.1");
    for (const { id } of await demo.list(operator, `/hails?taxi_id=${taxi}`)) {
      const [hail] = await demo.list(operator, `/hails/${id}`);
      const wish = reply(hail);
      // The customer may have been faster.
      if (wish) await demo.answer(operator, "PUT", `/hails/${id}`, wish);
    }
    const [{ status }] = await demo.list(operator, `/taxis/${taxi}`);
    if (status === "off") await demo.send(operator, "PUT", `/taxis/${taxi}`, { status: "free" });
    await pause(BEAT_MS);
  }
  device.close();
}

// Hails the taxi that waits where the customer stands, once it is there; where `times` is more, the same again.
async function hail(demo, isOver, customer, times = 1) {
  const around = `/taxis?lat=${APP_AT.lat}&lon=${APP_AT.lon}&nearest=1`;
  while (!isOver()) {
    const [taxi] = await demo.list("app", around);
    if (taxi && taxi.crowfly_distance <= HERE_M) {
      const wish = {
        customer_id: customer, customer_lat: APP_AT.lat, customer_lon: APP_AT.lon, customer_address: "1 rue X",
        customer_phone_number: "0611111111", taxi_id: taxi.id,
      };
      const ask = () => demo.answer("app", "POST", "/hails", wish, { "Idempotency-Key": taxi.id });
      const made = await ask();
      for (let n = 1; n < times; n += 1) await ask();
      if (made.status === 201) return made.body.data[0].id;
    }
    await pause(BEAT_MS);
  }
  throw new Error("the run ended before its last hail");
}

// An app's program: what it does with each of its hails at each status.
async function ride(demo, isOver) {
  const confirms = { accepted_by_taxi: { status: "accepted_by_customer" } };
  const cancels = { received_by_taxi: { status: "declined_by_customer" } };
  const earthquake = { status: "incident_customer", incident_customer_reason: "earthquake" };
  const all = [
    ["anne", confirms], ["anne", {}], ["anne", {}], ["anne", cancels],
    ["anne", { ...confirms, accepted_by_customer: earthquake }], ["anne", {}], ["bernard", {}, 2],
  ];
  const goesOn = [
    "received", "sent_to_operator", "received_by_operator", "received_by_taxi", "accepted_by_taxi",
    "accepted_by_customer", "customer_on_board",
  ];
  for (const [customer, does, times] of all) {
    const id = await hail(demo, isOver, customer, times);
    let status = "received";
    while (goesOn.includes(status) && !isOver()) {
      await pause(BEAT_MS);
      [{ status }] = await demo.list("app", `/hails/${id}`);
      if (does[status]) await demo.answer("app", "PUT", `/hails/${id}`, does[status]);
    }
    if (status === "finished") await demo.send("app", "PUT", `/hails/${id}`, { rating_ride: 4 });
  }
}

async function until(holds, what) {
  const deadline = Date.now() + RUN_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not true in time: ${what}`);
    await pause(BEAT_MS);
  }
}

// Begins a run on the page, lets the partner's program play, and gives the page of its report.
async function certified(browser, demo, account, fields, program) {
  const context = await browser.newContext({ baseURL: demo.url, locale: "fr-FR" });
  const page = await context.newPage();
  const wrong = listen(page, demo.url);
  await page.goto("/console/login");
  await page.getByLabel("Identifiant").fill(account);
  await page.getByLabel("Mot de passe").fill(demo.password);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console");
  await page.goto("/console/recette");
  for (const [label, text] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByRole("button", { name: "Commencer" }).click();
  await page.getByText("Recette en cours").waitFor();
  let isOver = false;
  const isKept = async () => {
    await page.goto("/console/recette");
    return !(await page.getByText("Recette en cours").isVisible());
  };
  const end = until(isKept, "the end of the run").finally(() => (isOver = true));
  await Promise.all([end, Promise.race([program(() => isOver), end])]);
  await page.getByText("Terminée : le rapport est gardé.").waitFor();
  await page.getByRole("region", { name: "Rapports" }).getByRole("link").first().click();
  await page.getByText("Signature vérifiée").waitFor();
  if (!(await page.getByText("Recette réussie").isVisible())) wrong.push(await page.locator("main").innerText());
  wrong.push(...(await accessible(page)), ...(await keyboard(page)), ...(await narrow(page)));
  wrong.push(...(await onPaper(page)));
  await context.close();
  return wrong.map((what) => `${account}: ${what}`);
}

// The report, and nothing of the page around it, on a few sheets.
async function onPaper(page) {
  const wrong = [];
  await page.emulateMedia({ media: "print" });
  for (const around of ["nav", "form", ".screen"]) {
    if (await page.locator(around).first().isVisible()) wrong.push(`${around} is printed`);
  }
  if (!(await page.locator("#signature").isVisible())) wrong.push("the signature is not printed");
  const sheets = (await page.pdf({ format: "A4" })).toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  if (sheets < 1 || sheets > 3) wrong.push(`the report takes ${sheets} sheets`);
  return wrong;
}

// They wait for deadlines: both at once, and beside everything else.
export const PATIENT = {
  async "an operator and an app are certified"(world, as) {
    const demo = new Demo();
    const outer = await as(null);
    try {
      await demo.begin(world.server.spawnfile);
      const taxi = await demo.register("operator-a");
      const patience = "Patience pour chaque geste, en secondes";
      const wrong = await Promise.all([
        certified(outer.browser(), demo, "operator-a", {
          [patience]: "60", "Taxi, par son identifiant (opérateur)": taxi,
          "Positions regardées avant la première course (opérateur)": "5",
        }, (isOver) => operate(demo, "operator-a", taxi, isOver)),
        certified(outer.browser(), demo, "app", {
          [patience]: "60", "Latitude, en degrés": String(APP_AT.lat), "Longitude, en degrés": String(APP_AT.lon),
          "Code INSEE de la commune": "75056",
        }, (isOver) => ride(demo, isOver)),
      ]);
      return wrong.flat();
    } finally {
      await outer.close();
      await demo.stop();
    }
  },
};

export const RECETTE = {
  async "an operator who drives nobody fails its acceptance"(world, as) {
    await world.free();
    const context = await as("operateur");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/recette");
    await page.getByLabel("Clé d’un compte qui joue l’autre côté").fill(world.keys.moteur);
    await page.getByLabel("Taxi, par son identifiant").fill(world.taxi);
    await page.getByLabel("Patience pour chaque geste").fill("5");
    await page.getByLabel("Positions regardées").fill("2");
    await page.keyboard.press("Enter");
    await page.getByText("Recette en cours, opérateur").waitFor();
    let degrees = 0;
    const shows = (text) => world.until(async () => {
      await world.move((degrees += 0.0001));
      await page.goto("/console/recette");
      return page.getByText(text).first().isVisible();
    }, text);
    await shows("Essai 1 sur 7");
    // It refuses whom it should drive, and stays out of service.
    const newest = async () => (await world.list("operateur", "/hails"))[0];
    await world.until(async () => (await newest()).status === "sent_to_operator", "a hail");
    const { id } = await newest();
    const declined = { status: "declined_by_taxi", declined_by_taxi_reason: "rest_time" };
    for (const wish of [{ status: "received_by_operator" }, { status: "received_by_taxi" }, declined]) {
      await world.call("operateur", "PUT", `/hails/${id}`, wish);
    }
    // The hail waited for ten seconds only: what is on the page is looked at now.
    wrong.push(...(await accessible(page)), ...(await narrow(page)));
    await shows("Terminée : le rapport est gardé.");
    await page.getByRole("region", { name: "Rapports" }).getByRole("link").first().click();
    await page.getByText("Recette échouée").waitFor();
    await page.getByText("Signature vérifiée").waitFor();
    await page.getByText("le taxi ne l’a pas acceptée à temps", { exact: true }).waitFor();
    wrong.push(...(await keyboard(page)));
    await page.getByText("Le texte signé").click();
    wrong.push(...(await accessible(page)), ...(await narrow(page)));
    await context.close();
    return wrong;
  },
};
