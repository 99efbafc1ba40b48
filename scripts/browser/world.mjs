// A server of its own on free ports of loopback: three towns, an account a role and two more, taxis and hails, and in
// every field that somebody writes a name made of HTML.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

// A name that would be a picture and a script.
export const HOSTILE = `<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>"'&amp;`;
// The same of a field, by which it is told from others.
export const hostile = (field) => `${HOSTILE}${field}`;
// Where ten letters are all there may be.
export const PLATE = "<s>AA</s>";
// Accounts beside those that are called like their role: their emails are hostile, too.
export const [MANAGER, PARTNER] = ["gestionnaire", "partenaire"];
export const PASSWORD = "correct horse";
const OUTLINES = new URL("../../api/outlines/", import.meta.url).pathname;
const START_MS = 30_000;
const STOP_MS = 10_000;
const PLACE = { lat: 48.8566, lon: 2.3522 };
// Where the only station is.
export const STATION = { lat: 48.8666, lon: 2.3222 };

// So many days from today, in UTC.
export const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

export class World {
  folder = mkdtempSync(join(tmpdir(), "maraude-browser-"));

  async begin(binary, roles) {
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const ours = Object.entries(process.env).filter(([name]) => !name.startsWith("MARAUDE_"));
    const env = {
      ...Object.fromEntries(ours),
      MARAUDE_DATA_DIR: join(this.folder, "data"),
      MARAUDE_HTTP: `127.0.0.1:${port}`,
      MARAUDE_UDP: "127.0.0.1:0",
      MARAUDE_LOGGING: "warn",
      // Reports are of what was just reported, and operators' servers are here.
      MARAUDE_ARCHIVE_AFTER_S: "0",
      MARAUDE_PRIVATE_ENDPOINTS: "true",
    };
    const run = (...parts) => execFileSync(binary, parts, { env, encoding: "utf8", timeout: START_MS });
    this.importPlaces(run);
    this.addAccounts(run, roles);
    this.server = spawn(binary, ["serve"], { env, stdio: ["ignore", "ignore", "inherit"] });
    await this.until(async () => (await fetch(`${this.url}/health/ready`)).ok, "the server is ready");
    await this.register();
    await this.writeEverywhere();
    this.imported = await this.lastImport();
  }

  // Towns, zones and a station; of the stations' file one is refused.
  importPlaces(run) {
    const file = (name, text) => {
      const path = join(this.folder, name);
      writeFileSync(path, text);
      return path;
    };
    run("import", "towns", join(OUTLINES, "demo_towns.geojson"));
    const { zones } = JSON.parse(readFileSync(join(OUTLINES, "demo_zupc.json"), "utf8"));
    const renamed = zones.map((zone) => ({ ...zone, name: HOSTILE }));
    run("import", "zupc", file("zupc.json", JSON.stringify({ zones: renamed })));
    run("import", "exclusions", join(OUTLINES, "demo_exclusions.geojson"));
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const row = (id, name, insee) => `${id},${name},${insee},"${STATION.lon},${STATION.lat}",,2,,\n`;
    // The second is refused for its town, as the report says.
    const rows = row("75056-T-001", quoted(HOSTILE), "75056") + row("75056-T-002", "x", quoted(hostile("commune")));
    const heading = "id,nom,insee,geopoint,adresse,emplacements,no_appel,info\n";
    run("import", "stations", file("stations.csv", heading + rows));
  }

  // One of each role, and a manager of the operator and of a partner.
  addAccounts(run, roles) {
    this.keys = {};
    const add = (account, roles) => {
      const flags = [...roles.flatMap((role) => ["--role", role]), "--password", PASSWORD, "--name", hostile("compte")];
      const { id, apikey } = JSON.parse(run("user", "add", this.email(account), ...flags, "--json"));
      this.keys[account] = apikey;
      return id;
    };
    roles.forEach((role) => add(role, [role]));
    add(MANAGER, ["groupement"]);
    this.partner = add(PARTNER, ["operateur", "groupement"]);
    for (const account of ["operateur", PARTNER]) {
      run("user", "set-manager", this.email(account), this.email(MANAGER));
    }
  }

  // What an account is called.
  email(account) {
    return [MANAGER, PARTNER].includes(account) ? hostile(account) : account;
  }

  // The number of the last import's report, which its page alone tells.
  async lastImport() {
    const body = new URLSearchParams({ email: "admin", password: PASSWORD });
    const headers = { Origin: this.url };
    const login = await fetch(`${this.url}/console/login`, { method: "POST", body, headers, redirect: "manual" });
    const cookie = login.headers.get("set-cookie").split(";")[0];
    const list = await (await fetch(`${this.url}/console/imports`, { headers: { Cookie: cookie } })).text();
    return list.match(/href="\/console\/imports\/([^"]+)"/)[1];
  }

  // A taxi that is free and somewhere, and hails of it: so many that they make a map, the last one just begun.
  async register() {
    this.taxi = await this.registered("operateur", "AB-123-CD", "ads-1", "licence-1");
    await this.free();
    const search = `/taxis?lat=${PLACE.lat}&lon=${PLACE.lon}`;
    await this.until(async () => (await this.call("moteur", "GET", search)) !== undefined, "the taxi is found");
    const first = await this.hailed();
    await this.accepted(first);
    this.hail = first;
    for (let more = 0; more < 5; more += 1) {
      await this.call("moteur", "PUT", `/hails/${this.hail}`, { status: "declined_by_customer" });
      await this.free();
      this.hail = await this.hailed();
    }
    this.age(first);
  }

  // A vehicle, its driver and its ADS: what identifies them, and names that are hostile. Gives the taxi's id.
  async registered(account, licence_plate, numero, professional_licence) {
    const call = (path, body) => this.call(account, "POST", path, body);
    const [departement, insee] = ["75", "75056"];
    await call("/drivers", {
      first_name: hostile("prénom"), last_name: hostile("nom"), birth_date: "1980-02-03", professional_licence,
      departement: { numero: departement },
    });
    await call("/vehicles", {
      licence_plate, constructor: hostile("marque"), model: hostile("modèle"), color: hostile("couleur"), nb_seats: 4,
    });
    const owner = { owner_name: hostile("titulaire"), owner_type: "individual", category: hostile("catégorie") };
    await call("/ads", { numero, insee, ...owner });
    const driver = { professional_licence, departement };
    return (await call("/taxis", { ads: { numero, insee }, vehicle: { licence_plate }, driver })).id;
  }

  // A hail of the taxi by the search app: its id.
  async hailed() {
    const hail = await this.call("moteur", "POST", "/hails", {
      customer_id: hostile("client"), customer_lon: PLACE.lon, customer_lat: PLACE.lat,
      customer_address: hostile("adresse"), customer_phone_number: hostile("téléphone-client"), taxi_id: this.taxi,
      operateur: "operateur",
    });
    return hail.id;
  }

  // The hail's taxi accepts it.
  async accepted(hail) {
    const status = async () => (await this.call("operateur", "GET", `/hails/${hail}`)).status;
    await this.until(async () => (await status()) === "sent_to_operator", "a hail is sent");
    const accepted = { status: "accepted_by_taxi", taxi_phone_number: hostile("téléphone-taxi") };
    for (const wish of [{ status: "received_by_operator" }, { status: "received_by_taxi" }, accepted]) {
      await this.call("operateur", "PUT", `/hails/${hail}`, wish);
    }
  }

  // Makes a hail a day older, which nothing but time does: who helps customers sees those of before.
  age(hail) {
    const script = "import sqlite3, sys\n"
      + "with sqlite3.connect(sys.argv[1], timeout=10) as rows:\n"
      + "    rows.execute('UPDATE hails SET created_at = created_at - 86400000 WHERE id = ?', sys.argv[2:])";
    execFileSync("python3", ["-c", script, join(this.folder, "data", "maraude.db"), hail], { timeout: START_MS });
  }

  // What else partners may write: what identifies a taxi, where they are reached, positions that are refused.
  async writeEverywhere() {
    await this.registered(PARTNER, PLATE, hostile("numéro"), hostile("carte"));
    await this.call(PARTNER, "PUT", `/users/${this.partner}`, {
      name: hostile("nom-du-partenaire"),
      email_customer: hostile("courriel"), phone_number_customer: hostile("téléphone"),
      email_technical: hostile("courriel-technique"), phone_number_technical: hostile("téléphone-technique"),
      hail_endpoint_production: `http://127.0.0.1:9/${hostile("serveur")}`, operator_header_name: "X-Key",
      operator_api_key: hostile("secret"),
    });
    for (const account of ["operateur", PARTNER]) {
      const position = { taxi_id: hostile("refusé"), ...PLACE };
      const { status } = await this.ask(account, "POST", "/geotaxi/", { positions: [position] });
      if (status < 400) throw new Error(`a position of no taxi is answered ${status}`);
    }
  }

  // What was refused is told.
  async refused() {
    for (const account of ["operateur", PARTNER]) {
      const told = async () => (await this.call(account, "GET", "/operators/me/refusals")).total > 0;
      await this.until(told, "what was refused is told");
    }
  }

  // What was reported is in the archive.
  archived() {
    const [from, to] = [-1, 1].map(day);
    const report = `/analytics/reports/compliance?from=${from}&to=${to}`;
    this.kept ??= this.until(async () => (await this.list("analyste", report)).length > 0, "positions are archived");
    return this.kept;
  }

  // The taxi is free again, where it began.
  async free() {
    await this.call("operateur", "PUT", `/taxis/${this.taxi}`, { status: "free" });
    await this.move(0);
  }

  // The taxi is so much further north.
  async move(degrees) {
    const position = { taxi_id: this.taxi, lat: PLACE.lat + degrees, lon: PLACE.lon };
    await this.call("operateur", "POST", "/geotaxi/", { positions: [position] });
  }

  // One request to the API: its first element, if it has one.
  async call(role, method, path, body) {
    return (await this.list(role, path, method, body))?.[0];
  }

  // One request to the API: its elements.
  async list(role, path, method = "GET", body = undefined) {
    const { status, text } = await this.ask(role, method, path, body);
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text ? JSON.parse(text).data : undefined;
  }

  // One request to the API, whatever the answer.
  async ask(role, method, path, body) {
    const headers = { "X-Api-Key": this.keys[role], "X-Version": "2", "Content-Type": "application/json" };
    const element = body && JSON.stringify({ data: [body] });
    const answer = await fetch(this.url + path, { method, headers, body: element });
    return { status: answer.status, text: await answer.text() };
  }

  async until(holds, what) {
    const deadline = Date.now() + START_MS;
    while (!(await holds().catch(() => false))) {
      if (Date.now() > deadline || this.server.exitCode !== null) throw new Error(`not true in time: ${what}`);
      await pause(50);
    }
  }

  // Ends the server, by force where it does not end by itself, and removes what it wrote.
  async stop() {
    if (this.server && this.server.exitCode === null) {
      const ended = new Promise((end) => this.server.once("exit", end));
      this.server.kill("SIGTERM");
      const timer = setTimeout(() => this.server.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function freePort() {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}
