// What takes more than one page. Each story gives what is wrong, or throws.
import { accessible, keyboard, listen, narrow, textual } from "./checks.mjs";
import { ANALYSTS } from "./stories/analysts.mjs";
import { FORMS } from "./stories/forms.mjs";
import { HAILS } from "./stories/hails.mjs";
import { SIMULATORS } from "./stories/simulators.mjs";
import { RECETTE } from "./stories/recette.mjs";
import { HOSTILE, STATION } from "./world.mjs";

export { PATIENT } from "./stories/recette.mjs";

export const STORIES = {
  ...FORMS,
  ...ANALYSTS,
  ...HAILS,
  ...RECETTE,

  async "forms are sent by Enter"(world, as) {
    const context = await as("operateur");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/taxis");
    await page.getByLabel("Immatriculation").focus();
    await page.keyboard.type("ZZ-999-ZZ");
    await page.keyboard.press("Enter");
    await page.getByText("Aucun résultat").waitFor();
    await page.getByRole("button", { name: "Se déconnecter" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Se connecter" }).waitFor();
    await context.close();
    return wrong;
  },

  async "a taxi moves on the map, and tells who sees it"(world, as) {
    await world.free();
    const context = await as("operateur");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/map");
    await page.locator("#map[data-taxis='1']").waitFor();
    await world.move(0.002);
    await page.locator("#map[data-redrawn='2']").waitFor();
    // By keyboard from the list, and by the form beside the map.
    await page.getByRole("button", { name: `Choisir le taxi ${world.taxi}` }).focus();
    await page.keyboard.press("Enter");
    await page.locator("#card").getByText(world.taxi).first().waitFor();
    // The taxi's own page is in the card.
    await page.locator("#card").getByText("AB-123-CD").waitFor();
    await page.getByLabel("Latitude du client").fill("48.857");
    await page.getByLabel("Longitude du client").fill("2.353");
    await page.keyboard.press("Enter");
    await page.getByText("est proposé à un client à cet endroit").waitFor();
    // By a click: the ground tells what is there, and asks at once.
    await page.locator("#map canvas.maplibregl-canvas").click({ position: { x: 200, y: 60 } });
    await page.locator("#place").getByText(/^\d+\.\d+, \d+\.\d+/).waitFor();
    await page.getByText("n’est pas proposé à un client à cet endroit").waitFor();
    wrong.push(...(await accessible(page)), ...(await narrow(page)));
    await page.getByLabel("Libre").uncheck();
    await page.getByText("0 taxis montrés").waitFor();
    await context.close();
    return wrong;
  },

  // A station and a zone that are named in HTML.
  async "names of places on the map are texts"(world, as) {
    const context = await as(null);
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/map");
    await page.locator("#map[data-ready]").waitFor();
    const told = page.locator("#place");
    const click = async () => {
      const point = await page.locator("#map").evaluate((place, { lon, lat }) => {
        const map = place._fullLayout.map._subplot.map;
        const { x, y } = map.project([lon, lat]);
        return map.loaded() ? { x, y } : null;
      }, STATION);
      if (point) await page.locator("#map canvas.maplibregl-canvas").click({ position: point });
      return (await told.textContent()).includes("station");
    };
    await world.until(click, "the station is drawn");
    for (const what of [`station « ${HOSTILE} »`, `ZUPC « ${HOSTILE} »`]) {
      if (!(await told.textContent()).includes(what)) wrong.push(`${await told.textContent()} has no ${what}`);
    }
    wrong.push(...(await textual(page, [HOSTILE])), ...(await accessible(page)));
    await context.close();
    return wrong;
  },

  async "the list beside the map goes on while somebody is in it"(world, as) {
    await world.free();
    const context = await as("operateur");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/map");
    const button = page.getByRole("button", { name: `Choisir le taxi ${world.taxi}` });
    await button.focus();
    const isHeld = () => button.evaluate((one) => document.activeElement === one);
    await world.move(0.003);
    await page.locator("#rows").getByText("48.85960, 2.35220").waitFor();
    if (!(await isHeld())) wrong.push("whoever is in the list is pushed out where a taxi moves");
    // It is in the list no longer, but where somebody is.
    await page.getByLabel("Libre").evaluate((box) => box.click());
    await page.getByText("0 taxis montrés").waitFor();
    if (!(await isHeld())) wrong.push("whoever is in the list is pushed out where a taxi goes");
    await page.getByLabel("Libre").focus();
    await page.locator("#rows:empty").waitFor({ state: "attached" });
    await context.close();
    return wrong;
  },

  async "without WebGL the list of the map is there"(world, as) {
    await world.free();
    const context = await as("operateur");
    const page = await context.newPage();
    const said = listen(page, world.url);
    await page.addInitScript(() => {
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, ...more);
      };
    });
    await page.goto("/console/map");
    const button = page.getByRole("button", { name: `Choisir le taxi ${world.taxi}` });
    await button.waitFor();
    const wrong = [];
    if (await page.locator("#map").isVisible()) wrong.push("there is a map without WebGL");
    await page.getByText("ne peut pas être dessinée").waitFor();
    await world.move(0.004);
    await page.locator("#rows").getByText("48.86060, 2.35220").waitFor();
    await button.focus();
    await page.keyboard.press("Enter");
    await page.locator("#card").getByText("AB-123-CD").waitFor();
    // Elsewhere there is none, and here it is again.
    await page.getByLabel("Latitude du client").fill("45.75");
    await page.getByLabel("Longitude du client").fill("4.85");
    await page.keyboard.press("Tab");
    await page.getByText("0 taxis montrés").waitFor();
    await page.getByLabel("Latitude du client").fill("48,857");
    await page.getByLabel("Longitude du client").fill("2,353");
    await page.keyboard.press("Tab");
    await page.getByText("1 taxis montrés").waitFor();
    await page.reload();
    await button.waitFor();
    wrong.push(...(await accessible(page)), ...(await keyboard(page)), ...(await narrow(page)));
    // What the map itself complains of is what it should.
    wrong.push(...said.filter((what) => !/webgl/i.test(what)));
    await context.close();
    return wrong;
  },

  // What a frame is given is bounded by counts, which no machine changes.
  async "twenty thousand taxis that move leave the page answering"(world, as) {
    const [all, each, rounds, most] = [20_000, 10_000, 4, 2_000];
    const context = await as("admin");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.addInitScript(() => {
      window.EventSource = class {
        static CLOSED = 2;
        constructor() {
          this.heard = {};
          window.stream = this;
        }
        addEventListener(kind, hear) {
          this.heard[kind] = hear;
        }
        close() {}
        tell(kind, data) {
          this.heard[kind]({ data: JSON.stringify(data) });
        }
      };
      window.longest = 0;
      const note = ({ duration }) => (window.longest = Math.max(window.longest, duration));
      new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "longtask" });
    });
    await page.goto("/console/map");
    await page.locator("#map[data-ready]").waitFor();
    const tell = (kind, count, round) => page.evaluate(([kind, count, round]) => {
      const taxis = Array.from({ length: count }, (_, i) => ({
        taxi: `t${i}`, operator: `o${i % 3}`, status: ["free", "occupied", "off"][i % 3],
        lat: 48.8 + ((i * 7919) % 1000) / 9000 + round * 1e-4, lon: 2.25 + ((i * 104_729) % 1000) / 5000,
        last_update: 0,
      }));
      window.stream.tell(kind, kind === "snapshot" ? { taxis } : { moved: taxis, gone: [] });
    }, [kind, count, round]);
    const drawn = async () => {
      await page.locator("#map[data-waiting='0']").waitFor();
      const { redrawn, largest, taxis } = await page.locator("#map").evaluate((map) => ({ ...map.dataset }));
      if (Number(largest) > most) wrong.push(`${largest} points in one frame`);
      if (Number(taxis) !== all) wrong.push(`${taxis} taxis are shown`);
      return Number(redrawn);
    };
    await tell("snapshot", all, 0);
    await page.locator(`#map[data-redrawn='${all}']`).waitFor();
    // Of what moves again before it is drawn the last place is drawn alone.
    for (let round = 1; round <= rounds; round += 1) await tell("changes", each, round);
    const moved = (await drawn()) - all;
    if (moved < each || moved > each * rounds) wrong.push(`${moved} points were redrawn for ${each} that moved`);
    // What says where it is already is not drawn at all.
    await tell("changes", each, rounds);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    if ((await drawn()) !== all + moved) wrong.push("points were redrawn that did not move");
    const longest = Math.round(await page.evaluate("window.longest"));
    console.log(`the map of ${all} taxis: ${all + moved} points drawn, the longest task took ${longest} ms`);
    await context.close();
    return wrong;
  },

  // Their taxis stay on the map for a while: whoever counts those came before.
  ...SIMULATORS,
};
