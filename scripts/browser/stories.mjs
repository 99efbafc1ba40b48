// What takes more than one page. Each story gives what is wrong, or throws.
import { accessible, listen, narrow } from "./checks.mjs";

export const STORIES = {
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

  async "a page that is not there is one to read"(world, as) {
    const context = await as(null);
    const page = await context.newPage();
    const answer = await page.goto("/console/nowhere");
    const title = await page.getByRole("heading", { level: 1 }).textContent();
    await context.close();
    return answer.status() === 404 && title === "Page introuvable" ? [] : [`${answer.status()} ${title}`];
  },
};
