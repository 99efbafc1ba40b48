// What analysts ask: a table, a chart and files, of texts that anybody may have written.
import { readFileSync } from "node:fs";
import { inspect, listen } from "../checks.mjs";
import { day, hostile } from "../world.mjs";

// Two of a name and a number, so that there is a chart; the column is called by a name, too.
const quoted = (text, quote) => quote + text.replaceAll(quote, quote + quote) + quote;
const [VALUE, COLUMN] = ["valeur", "colonne"].map(hostile);
const SQL = `SELECT ${quoted(VALUE, "'")} AS ${quoted(COLUMN, '"')}, 1 AS n UNION ALL SELECT 'b', 2`;

async function pressed(page, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
  return readFileSync(await file.path());
}

// What is wrong with both files of what is on a page.
async function files(page, text) {
  const [csv, parquet] = [await pressed(page, "Télécharger en CSV"), await pressed(page, "Télécharger en Parquet")];
  const wrong = [];
  // CSV doubles the quotes that are in a text.
  if (!csv.toString().includes(text.replaceAll('"', '""'))) wrong.push(`CSV without ${text}: ${csv}`);
  if (parquet.subarray(0, 4).toString() !== "PAR1") wrong.push(`Parquet that begins with ${parquet.subarray(0, 4)}`);
  return wrong;
}

export const ANALYSTS = {
  async "a question in SQL is answered as a table, a chart and files"(world, as) {
    const context = await as("analyste");
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/sql");
    await page.getByLabel("Requête SQL").fill(SQL);
    await page.getByRole("button", { name: "Exécuter" }).click();
    await page.locator(".chart .xtick").getByText(VALUE).waitFor();
    const cells = await page.locator("main table").locator("th, td").allTextContents();
    for (const text of [VALUE, COLUMN]) {
      if (!cells.includes(text)) wrong.push(`no cell is ${text}: ${cells}`);
    }
    wrong.push(...(await inspect(page, [VALUE, SQL])), ...(await files(page, VALUE)));
    await context.close();
    return wrong;
  },

  async "a question that is none is said to be, and stays to be mended"(world, as) {
    const context = await as("analyste");
    const page = await context.newPage();
    const said = listen(page, world.url);
    await page.goto("/console/sql");
    await page.getByLabel("Requête SQL").fill(hostile("requête"));
    await page.getByRole("button", { name: "Exécuter" }).click();
    await page.getByText("La requête n’a pas abouti.").waitFor();
    const wrong = await inspect(page, [hostile("requête")]);
    wrong.push(...said.filter((what) => !/status of 400/.test(what)));
    await context.close();
    return wrong;
  },

  async "a report is asked for by a form, and is a file, too"(world, as) {
    await world.archived();
    const context = await as("analyste");
    const page = await context.newPage();
    const said = listen(page, world.url);
    await page.goto("/console/reports/compliance");
    await page.getByLabel("Jusqu’au jour").fill(day(1));
    await page.getByRole("button", { name: "Afficher" }).click();
    await page.getByRole("heading", { name: "Résultat" }).waitFor();
    const wrong = await files(page, hostile("compte"));
    await page.getByLabel("Territoire").fill(hostile("territoire"));
    await page.keyboard.press("Enter");
    await page.getByText("Aucune commune, aucun département et aucune ZUPC ne s’appelle ainsi.").waitFor();
    wrong.push(...(await inspect(page, [hostile("territoire")])));
    wrong.push(...said.filter((what) => !/status of 400/.test(what)));
    await context.close();
    return wrong;
  },
};
