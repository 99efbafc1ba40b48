// What takes more than one page. Each story gives what is wrong, or throws.
import { listen } from "./checks.mjs";

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

  async "a page that is not there is one to read"(world, as) {
    const context = await as(null);
    const page = await context.newPage();
    const answer = await page.goto("/console/nowhere");
    const title = await page.getByRole("heading", { level: 1 }).textContent();
    await context.close();
    return answer.status() === 404 && title === "Page introuvable" ? [] : [`${answer.status()} ${title}`];
  },
};
