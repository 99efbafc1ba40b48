// Hails while they last.
import { inspect, listen } from "../checks.mjs";
import { hostile } from "../world.mjs";

export const HAILS = {
  async "while a taxi comes, each side sees who the other is"(world, as) {
    await world.free();
    const hail = await world.hailed();
    await world.accepted(hail);
    await world.call("moteur", "PUT", `/hails/${hail}`, { status: "accepted_by_customer" });
    const wrong = [];
    for (const account of ["moteur", "operateur", "admin"]) {
      const context = await as(account);
      const page = await context.newPage();
      const said = listen(page, world.url);
      await page.goto(`/console/hails/${hail}`);
      const fields = ["client", "adresse", "téléphone-client", "téléphone-taxi", "couleur", "prénom", "nom"];
      said.push(...(await inspect(page, fields.map(hostile))));
      wrong.push(...said.map((what) => `as ${account}: ${what}`));
      await context.close();
    }
    const gone = { status: "incident_customer", incident_customer_reason: "no_show" };
    await world.call("moteur", "PUT", `/hails/${hail}`, gone);
    return wrong;
  },
};
