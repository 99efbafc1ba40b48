// The two simulators: each half of hails by hand, on pages that are never loaded again.
import { accessible, keyboard, listen, narrow } from "../checks.mjs";

const OPERATOR = "/console/simulator/operator";
const APP = "/console/simulator/app";
// Near the middle of Paris, away from the taxi that the world has.
const HERE = { lat: 48.861, lon: 2.341 };
// Some 220 m away from there, of which the least that is said aloud is 100 m.
const AWAY = { lat: 48.859, lon: 2.3412 };

// Clicks on a place of a page's map.
async function click(page, at) {
  const position = await page.locator("#map").evaluate((place, { lat, lon }) => {
    const { x, y } = place._fullLayout.map._subplot.map.project([lon, lat]);
    return { x, y };
  }, at);
  await page.locator("#map canvas.maplibregl-canvas").click({ position });
}

// A page whose map is drawn, and which hears of hails.
async function opened(context, world, address, wrong) {
  const page = await context.newPage();
  wrong.push(listen(page, world.url));
  await page.goto(address);
  if (await page.locator("#map").count()) await ready(page);
  return page;
}

const ready = (page) => page.locator("#map[data-ready][data-listens]").waitFor();

// Makes a taxi on the page, free, and drives it there by a click; gives its id.
async function made(page, plate, at) {
  await page.getByLabel("Immatriculation").fill(plate);
  await page.getByLabel("Code INSEE").fill("75056");
  await page.keyboard.press("Enter");
  await page.getByText("Le taxi est fait").waitFor();
  await ready(page);
  await free(page);
  await click(page, at);
  await page.getByText("La position est envoyée").waitFor();
  await page.locator("#place").getByText(at.lat.toFixed(2)).waitFor();
  return page.locator("#taxi code").textContent();
}

async function free(page) {
  await page.getByLabel("Statut", { exact: true }).selectOption("free");
  await page.getByRole("button", { name: "Changer" }).click();
  await page.getByText("Le statut et le rayon sont changés").waitFor();
}

// Searches by a click and hails what is found; gives the hail's section.
async function hailed(page, at) {
  const before = await page.locator("section.hail").count();
  await click(page, at);
  await page.getByText("Taxis trouvés : 1").waitFor();
  await page.getByLabel("Adresse").fill("1 rue de Rivoli");
  await page.getByRole("button", { name: "Demander ce taxi" }).click();
  await page.getByText("La course est demandée").waitFor();
  await page.locator("section.hail").nth(before).waitFor();
  return page.locator("section.hail").first().getAttribute("id");
}

const press = (page, hail, name) => page.locator(`#${hail}`).getByRole("button", { name, exact: true }).click();
const stands = (page, hail, status) => page.locator(`#${hail}[data-status='${status}']`).waitFor();

const isHeld = (control) => control.evaluate((one) => document.activeElement === one);

export const SIMULATORS = {
  async "the whole story of a hail between the two simulators"(world, as) {
    await world.call("operateur", "PUT", `/taxis/${world.taxi}`, { status: "off" });
    const [operator, app] = [await as("operateur"), await as("moteur")];
    const wrong = [];
    const taxi = await opened(operator, world, OPERATOR, wrong);
    const id = await made(taxi, "SIM-001", HERE);
    const customer = await opened(app, world, APP, wrong);

    // It arrives by itself, is taken, and comes.
    const hail = await hailed(customer, HERE);
    await press(taxi, hail, "Prendre la course");
    await press(taxi, hail, "Remettre au taxi");
    await taxi.locator(`#${hail}`).getByLabel("Téléphone du taxi").fill("0612345678");
    await press(taxi, hail, "Accepter");
    await press(customer, hail, "Confirmer");
    await stands(taxi, hail, "accepted_by_customer");
    await customer.locator(`#${hail}`).getByText("0612345678").waitFor();
    const far = customer.locator(`#${hail} .distance`);
    const before = await far.textContent();
    const ground = customer.locator(`#${hail}`).getByLabel("Motif de l’incident");
    await ground.focus();
    await click(taxi, AWAY);
    await world.until(async () => (await far.textContent()) !== before, "the taxi moves");
    await customer.locator("#news").getByText(/à \d+ m du client/).waitFor();
    if (!(await isHeld(ground))) wrong.push(["who is in a form is pushed out where the taxi moves"]);
    for (const page of [taxi, customer]) {
      await page.getByText("Échange avec l’API").click();
      wrong.push(await accessible(page), await narrow(page));
    }
    for (const [context, address] of [[operator, `${OPERATOR}?taxi=${id}`], [app, APP]]) {
      const page = await opened(context, world, address, wrong);
      wrong.push(await keyboard(page));
      await page.close();
    }
    await press(taxi, hail, "Client à bord");
    await press(taxi, hail, "Terminer la course");
    await stands(customer, hail, "finished");
    await customer.locator(`#${hail}`).getByText("Noter la course").click();
    await press(customer, hail, "Noter");
    const told = async (hail) => world.call("moteur", "GET", `/hails/${hail.slice("hail-".length)}`);
    await world.until(async () => (await told(hail)).rating_ride === 5, "the hail has its mark");

    // A second one is refused, on a ground.
    const toTaxi = async () => {
      await free(taxi);
      await click(taxi, HERE);
      await taxi.getByText("La position est envoyée").waitFor();
      const hail = await hailed(customer, HERE);
      await press(taxi, hail, "Prendre la course");
      await press(taxi, hail, "Remettre au taxi");
      await stands(customer, hail, "received_by_taxi");
      return hail;
    };
    const refused = await toTaxi();
    await taxi.locator(`#${refused}`).getByLabel("Motif du refus").selectOption("rest_time");
    await press(taxi, refused, "Refuser");
    await stands(customer, refused, "declined_by_taxi");
    const { transitions } = await told(refused);
    if (transitions.at(-1).reason !== "rest_time") wrong.push([`the refusal has no ground: ${transitions.at(-1)}`]);

    // A third the customer cancels, a fourth breaks off.
    const cancelled = await toTaxi();
    await press(customer, cancelled, "Annuler");
    await stands(taxi, cancelled, "declined_by_customer");
    await taxi.locator("#news").getByText("annulée par le client").waitFor();
    const broken = await toTaxi();
    await press(taxi, broken, "Accepter");
    await stands(customer, broken, "accepted_by_taxi");
    await customer.locator(`#${broken}`).getByLabel("Motif de l’incident").selectOption("no_show");
    await press(customer, broken, "Signaler un incident");
    await stands(taxi, broken, "incident_customer");
    const { incident_customer_reason } = await told(broken);
    if (incident_customer_reason !== "no_show") wrong.push([`the incident is ${incident_customer_reason}`]);
    await world.call("operateur", "PUT", `/taxis/${id}`, { status: "off" });
    await Promise.all([operator.close(), app.close()]);
    return wrong.flat();
  },

  async "a simulator's taxi drives along a trace, and stays online"(world, as) {
    const context = await as("operateur");
    const wrong = [];
    const page = await opened(context, world, OPERATOR, wrong);
    const id = await made(page, "SIM-002", HERE);
    await page.reload();
    await ready(page);
    const place = page.locator("#place");
    // By keyboard: the arrows move the map, Enter sends the taxi to its middle.
    const before = await place.textContent();
    await page.locator("#map canvas.maplibregl-canvas").focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("#map").evaluate((place) => new Promise((moved) => {
      const map = place._fullLayout.map._subplot.map;
      if (map.isMoving()) map.once("moveend", moved);
      else moved();
    }));
    await page.keyboard.press("Enter");
    await world.until(async () => (await place.textContent()) !== before, "the taxi is in the middle");

    await page.getByLabel("Tracer un trajet").check();
    const box = await page.locator("#map").boundingBox();
    const canvas = page.locator("#map canvas.maplibregl-canvas");
    for (const x of [-60, 60]) await canvas.click({ position: { x: box.width / 2 + x, y: box.height / 2 } });
    const trace = page.getByLabel("Trajet", { exact: true });
    const lines = (await trace.inputValue()).split("\n");
    if (lines.length !== 2) wrong.push([`two clicks made of the trace ${lines}`]);
    await page.getByLabel("Vitesse").fill("150");
    await trace.press("End");
    await trace.pressSequentially("\nnowhere");
    await page.getByRole("button", { name: "Parcourir le trajet" }).click();
    await page.getByText("1 lignes du trajet ne sont pas deux nombres").waitFor();
    await trace.fill(lines.join("\n"));
    await page.getByRole("button", { name: "Parcourir le trajet" }).click();
    for (const line of [lines[0], lines.at(-1)]) {
      const [lat, lon] = line.split(", ").map(Number);
      await world.until(async () => {
        const { position } = await world.call("operateur", "GET", `/taxis/${id}`);
        return Math.abs(position.lat - lat) < 1e-5 && Math.abs(position.lon - lon) < 1e-5;
      }, `the taxi is at ${line}`);
    }
    await page.getByText("Le taxi est au bout du trajet").waitFor();

    const heard = async () => (await world.call("operateur", "GET", `/taxis/${id}`)).last_update;
    const last = await heard();
    await page.getByLabel("Rester en ligne").check();
    await world.until(async () => (await heard()) > last, "the taxi is heard again");
    wrong.push(await accessible(page), await narrow(page));
    await context.close();
    return wrong.flat();
  },

  async "a simulator without a stream looks by itself, and without WebGL its forms do the same"(world, as) {
    await world.free();
    const context = await as("operateur");
    const page = await context.newPage();
    const said = listen(page, world.url);
    await page.route("**/console/simulator/events", (route) => route.fulfill({ status: 503 }));
    await page.addInitScript(() => {
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, ...more);
      };
    });
    await page.goto(OPERATOR);
    // By its plate, of several.
    await page.getByLabel("Un de vos taxis").fill("AB-123");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Taxi AB-123-CD" }).waitFor();
    await page.getByText("ne peut pas être dessinée").waitFor();
    await page.getByLabel("Latitude").fill("north");
    await page.keyboard.press("Enter");
    await page.locator("#told").getByText("Il faut un nombre").waitFor();
    await page.getByLabel("Latitude").fill("48,8566");
    await page.getByLabel("Longitude").fill("2,3523");
    await page.keyboard.press("Enter");
    await page.locator("#place").getByText("48.8566, 2.3523").waitFor();
    const made = await world.call("moteur", "POST", "/hails", {
      customer_id: "ann", customer_lon: 2.3522, customer_lat: 48.8566, customer_address: "1 rue de Rivoli",
      customer_phone_number: "0611111111", taxi_id: world.taxi,
    });
    await press(page, `hail-${made.id}`, "Prendre la course");
    await stands(page, `hail-${made.id}`, "received_by_operator");
    const wrong = [await accessible(page), await narrow(page)];
    await page.reload();
    await page.getByText("ne peut pas être dessinée").waitFor();
    wrong.push(await keyboard(page));
    // What the browser complains of is what was broken here.
    wrong.push(said.filter((what) => !/webgl|503|status of 400/i.test(what)));
    await context.close();
    return wrong.flat();
  },
};
