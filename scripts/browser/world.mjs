// A server of its own on free ports of loopback: three towns, an account a role, a taxi and a hail, all named in HTML.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

// A name that would be a picture and a script.
export const HOSTILE = `<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>"'&amp;`;
export const PASSWORD = "correct horse";
const OUTLINES = new URL("../../api/outlines/", import.meta.url).pathname;
const START_MS = 30_000;
const STOP_MS = 10_000;
const PLACE = { lat: 48.8566, lon: 2.3522 };
// Where the only station is.
export const STATION = { lat: 48.8666, lon: 2.3222 };

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
    };
    const run = (...parts) => execFileSync(binary, parts, { env, encoding: "utf8", timeout: START_MS });
    run("import", "towns", join(OUTLINES, "demo_towns.geojson"));
    const named = (name, text) => {
      const file = join(this.folder, name);
      writeFileSync(file, text);
      return file;
    };
    const { zones } = JSON.parse(readFileSync(join(OUTLINES, "demo_zupc.json"), "utf8"));
    const hostile = zones.map((zone) => ({ ...zone, name: HOSTILE }));
    run("import", "zupc", named("zupc.json", JSON.stringify({ zones: hostile })));
    run("import", "exclusions", join(OUTLINES, "demo_exclusions.geojson"));
    const quoted = `"${HOSTILE.replaceAll('"', '""')}"`;
    const row = (id, name, insee) => `${id},${name},${insee},"${STATION.lon},${STATION.lat}",,2,,\n`;
    // The second is refused for its town, as the report says.
    const rows = row("75056-T-001", quoted, "75056") + row("75056-T-002", "x", quoted);
    const heading = "id,nom,insee,geopoint,adresse,emplacements,no_appel,info\n";
    run("import", "stations", named("stations.csv", heading + rows));
    this.keys = {};
    for (const role of roles) {
      const added = run("user", "add", role, "--role", role, "--password", PASSWORD, "--name", HOSTILE, "--json");
      this.keys[role] = JSON.parse(added).apikey;
    }
    this.server = spawn(binary, ["serve"], { env, stdio: ["ignore", "ignore", "inherit"] });
    await this.until(async () => (await fetch(`${this.url}/health/ready`)).ok, "the server is ready");
    await this.register();
    this.imported = await this.lastImport();
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

  // A taxi that is free and somewhere, and a hail of it.
  async register() {
    const call = (role, method, path, body) => this.call(role, method, path, body);
    const departement = "75";
    const owner = { owner_name: HOSTILE, owner_type: "individual", category: HOSTILE };
    await call("operateur", "POST", "/drivers", {
      first_name: HOSTILE, last_name: HOSTILE, birth_date: "1980-02-03", professional_licence: "licence-1",
      departement: { numero: departement },
    });
    await call("operateur", "POST", "/vehicles", {
      licence_plate: "AB-123-CD", constructor: HOSTILE, model: HOSTILE, color: HOSTILE, nb_seats: 4,
    });
    await call("operateur", "POST", "/ads", { numero: "ads-1", insee: "75056", ...owner });
    const taxi = await call("operateur", "POST", "/taxis", {
      ads: { numero: "ads-1", insee: "75056" }, vehicle: { licence_plate: "AB-123-CD" },
      driver: { professional_licence: "licence-1", departement },
    });
    this.taxi = taxi.id;
    await call("operateur", "PUT", `/taxis/${this.taxi}`, { status: "free" });
    await call("operateur", "POST", "/geotaxi/", { positions: [{ taxi_id: this.taxi, ...PLACE }] });
    const search = `/taxis?lat=${PLACE.lat}&lon=${PLACE.lon}`;
    await this.until(async () => (await this.call("moteur", "GET", search)) !== undefined, "the taxi is found");
    const hail = await call("moteur", "POST", "/hails", {
      customer_id: HOSTILE, customer_lon: PLACE.lon, customer_lat: PLACE.lat, customer_address: HOSTILE,
      customer_phone_number: "0611111111", taxi_id: this.taxi, operateur: "operateur",
    });
    this.hail = hail.id;
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
    const headers = { "X-Api-Key": this.keys[role], "X-Version": "2", "Content-Type": "application/json" };
    const element = body && JSON.stringify({ data: [body] });
    const answer = await fetch(this.url + path, { method, headers, body: element });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text).data : undefined;
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
