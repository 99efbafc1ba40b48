// Forms of accounts: what a page says once one was sent, and where it was refused.
import { createServer } from "node:http";
import { inspect, listen } from "../checks.mjs";
import { HOSTILE, MANAGER, PARTNER, PASSWORD, PLATE, hostile } from "../world.mjs";

// Chromium says on its console that a page was refused, too.
const REFUSED = /Failed to load resource: the server responded with a status of 4\d\d/;

export const FORMS = {
  async "an account is added, and says once what its key is"(world, as) {
    const context = await as("admin");
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await context.newPage();
    const said = listen(page, world.url);
    const wrong = [];
    const add = async () => {
      await page.goto("/console/users/new");
      await page.getByLabel("Identifiant", { exact: true }).fill("nouveau");
      await page.getByLabel("Nom", { exact: true }).fill(hostile("nouveau"));
      await page.getByLabel("opérateur", { exact: true }).check();
      await page.getByLabel("Mot de passe").fill(PASSWORD);
      await page.keyboard.press("Enter");
    };
    await add();
    await page.getByText("Le compte est ajouté.").waitFor();
    wrong.push(...(await inspect(page)));
    await page.getByRole("button", { name: "Copier la clé" }).click();
    await page.getByRole("button", { name: "Copié" }).waitFor();
    const key = await page.locator("#key").textContent();
    const copied = await page.evaluate("navigator.clipboard.readText()");
    if (key !== copied) wrong.push(`${copied} was copied, and the key is ${key}`);
    await page.getByRole("link", { name: "Le compte", exact: true }).click();
    await page.getByLabel("groupement", { exact: true }).check();
    await page.getByLabel("Gestionnaire").fill(world.email(MANAGER));
    await page.getByRole("button", { name: "Enregistrer les droits" }).click();
    await page.getByText("Les droits sont enregistrés.").waitFor();
    wrong.push(...(await inspect(page, [hostile("nouveau"), world.email(MANAGER)])));
    await page.getByLabel("Courriel pour les clients").fill(hostile("courriel"));
    await page.getByRole("button", { name: "Enregistrer", exact: true }).click();
    await page.getByText("Le compte est enregistré.").waitFor();
    wrong.push(...(await inspect(page, [hostile("courriel")])));
    await page.getByLabel("Gestionnaire").fill("nouveau");
    await page.getByRole("button", { name: "Enregistrer les droits" }).click();
    await page.getByText("un compte ne se gère pas lui-même").waitFor();
    wrong.push(...(await inspect(page)));
    await add();
    await page.getByText("un compte s’appelle déjà ainsi").waitFor();
    wrong.push(...(await inspect(page, [hostile("nouveau")])), ...said.filter((what) => !REFUSED.test(what)));
    await context.close();
    return wrong;
  },

  // Of the account that the story before added.
  async "an account says where it is called, and gets another key and another password"(world, as) {
    let status = 200;
    const json = { "Content-Type": "application/json" };
    const server = createServer((_, answer) => answer.writeHead(status, json).end("{}"));
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const context = await as("nouveau");
    const page = await context.newPage();
    const said = listen(page, world.url);
    const wrong = [];
    const press = async (name, told, shows = []) => {
      await page.getByRole("button", { name, exact: true }).click();
      await page.getByText(told).waitFor();
      wrong.push(...(await inspect(page, shows)));
    };
    await page.goto("/console/account");
    const path = hostile("serveur");
    await page.getByLabel("Adresse appelée").fill(`http://127.0.0.1:${server.address().port}/${path}`);
    await page.getByLabel("En-tête qui authentifie").fill("X-Key");
    await page.getByLabel("Valeur de cet en-tête").fill(HOSTILE);
    await press("Enregistrer", "L’adresse et l’en-tête sont enregistrés.", [path]);
    await press("Appel d’essai", "L’appel d’essai a réussi", [path]);
    status = 500;
    await press("Appel d’essai", "Votre serveur a répondu 500");
    await page.getByLabel("Adresse appelée").fill("ftp://127.0.0.1/");
    await press("Enregistrer", "Cette adresse ne peut pas être appelée");
    await page.locator("#current").fill("not this one");
    await press("Créer une nouvelle clé", "Le mot de passe actuel est incorrect.");
    await page.locator("#current").fill(PASSWORD);
    await press("Créer une nouvelle clé", "La nouvelle clé est en service");
    const change = async (old, fresh, again) => {
      await page.getByLabel("Mot de passe actuel").last().fill(old);
      await page.getByLabel("Nouveau mot de passe", { exact: true }).fill(fresh);
      await page.getByLabel("Confirmez").fill(again);
    };
    await change(PASSWORD, "another horse", "another hose");
    await press("Changer le mot de passe", "Les deux saisies du nouveau mot de passe diffèrent.");
    await change(PASSWORD, "another horse", "another horse");
    await press("Changer le mot de passe", "Votre mot de passe a changé");
    await page.getByLabel("Identifiant").fill("nouveau");
    await page.getByLabel("Mot de passe").fill(PASSWORD);
    await press("Se connecter", "Identifiant ou mot de passe incorrect.");
    wrong.push(...said.filter((what) => !REFUSED.test(what)));
    await context.close();
    server.close();
    return wrong;
  },

  async "who manages an account acts for it, under a banner on each page"(world, as) {
    const context = await as(MANAGER);
    const page = await context.newPage();
    const wrong = listen(page, world.url);
    await page.goto("/console/act-as");
    await page.getByRole("button", { name: `Agir en tant que ${world.email(PARTNER)}` }).focus();
    await page.keyboard.press("Enter");
    const banner = page.getByRole("status").filter({ hasText: "Vous agissez en tant que" });
    await banner.waitFor();
    const fields = [PLATE, ...["marque", "numéro", "nom"].map(hostile)];
    for (const [address, shows] of [
      ["/console", []], ["/console/taxis", fields], ["/console/account", [world.email(PARTNER), hostile("serveur")]],
    ]) {
      await page.goto(address);
      if (!(await banner.textContent()).includes(world.email(PARTNER))) wrong.push(`${address} has no banner`);
      wrong.push(...(await inspect(page, shows)));
    }
    await page.getByRole("button", { name: "Revenir à mon compte" }).click();
    await page.getByRole("heading", { name: "Agir pour un compte" }).waitFor();
    if (await banner.isVisible()) wrong.push("the banner stays");
    await context.close();
    return wrong;
  },

  async "what is not there, or not for an account, is a page to read"(world, as) {
    const context = await as("mairie");
    const page = await context.newPage();
    const said = listen(page, world.url);
    const wrong = [];
    for (const [address, status, title] of [
      ["/console/nowhere", 404, "Page introuvable"],
      ["/console/users", 403, "Accès refusé"],
    ]) {
      const answer = await page.goto(address);
      const head = await page.getByRole("heading", { level: 1 }).textContent();
      if (answer.status() !== status || head !== title) wrong.push(`${address}: ${answer.status()} ${head}`);
      wrong.push(...(await inspect(page)));
    }
    wrong.push(...said.filter((what) => !REFUSED.test(what)));
    await context.close();
    return wrong;
  },
};
