// The map: outlines and stations for everybody, taxis as they move for who may see them. plotly brings the map, which
// then draws by itself: points that did not move are not handed over again.

import { WIDEST, colour, none, ofKind, ofStatus, show, style } from "./ground.js";

// Points that are handed over in one frame: more wait for the next, so that the page goes on answering.
const BATCH = 2000;
// Taxis in the list below the map, and how often it is made anew, in milliseconds.
const LISTED = 20;
const LISTED_EVERY = 2000;
// Degrees around its middle that are looked at where there is no map.
const AROUND = 0.2;
// How long the map rests before the server is asked for another window, and after which it is asked again.
const REST = 250;
const AGAIN = 10_000;

const byId = (id) => document.getElementById(id);
const place = byId("map");
const { live, tiles, own } = place.dataset;
const degrees = ({ lat, lon }) => `${lat.toFixed(5)}, ${lon.toFixed(5)}`;
// What is said as long as there is nothing else to say.
let standing = "";
const say = (text) => (byId("state").textContent = text || standing);

// --- What is drawn.

const published = (name) => ({ type: "geojson", data: `${location.origin}/opendata/${name}.geojson` });
const sources = {
  zupc: published("zupc"),
  stations: published("stations"),
  places: { type: "geojson", data: none },
  taxis: { type: "geojson", data: none, promoteId: "key" },
};

function draw(add) {
  add("zupc", "fill", "zupc", { "fill-color": colour("--accent"), "fill-opacity": 0.07 });
  add("towns", "fill", "places", { "fill-color": colour("--accent"), "fill-opacity": 0.01 }, ofKind("town"));
  add("town-lines", "line", "places", { "line-color": colour("--line"), "line-width": 0.7 }, ofKind("town"));
  add("zupc-lines", "line", "zupc", { "line-color": colour("--accent"), "line-width": 1.8 });
  const bad = colour("--bad-text");
  add("exclusions", "fill", "places", { "fill-color": bad, "fill-opacity": 0.25 }, ofKind("exclusion"));
  add("exclusion-lines", "line", "places", { "line-color": bad, "line-width": 1.5 }, ofKind("exclusion"));
  add("stations", "circle", "stations", {
    "circle-color": colour("--ground"), "circle-radius": 4,
    "circle-stroke-color": colour("--text"), "circle-stroke-width": 2,
  });
  add("taxis", "circle", "taxis", {
    "circle-color": ofStatus(),
    "circle-radius": ["interpolate", ["linear"], ["zoom"], 9, 2.5, 14, 6],
    "circle-opacity": ["match", ["get", "status"], "off", 0.35, 1],
    "circle-stroke-color": colour("--ground"),
    "circle-stroke-width": 0.8,
  });
  add("chosen", "circle", "taxis", {
    "circle-color": "transparent", "circle-radius": 11,
    "circle-stroke-color": colour("--text"), "circle-stroke-width": 3,
  }, ["==", ["get", "key"], ""]);
}

const centre = { lat: Number(place.dataset.lat), lon: Number(place.dataset.lon) };
const map = await show(place, () => style(sources, tiles, draw), "interroge");
if (!map) {
  // The list is made all the same.
  const instead = live
    ? "la liste est celle des taxis autour du point du client ci-dessous, ou du milieu du territoire."
    : "le reste de cette page n’en a pas besoin.";
  standing = `La carte ne peut pas être dessinée par ce navigateur ; ${instead}`;
  say("");
}

// --- Taxis: by key, as the server told them last; what changed waits for the next frame.

const taxis = new Map();
const changed = new Map();
const gone = new Set();
const told = { redrawn: 0, batches: 0, largest: 0 };
let isAsked = false;

const keyOf = (taxi) => `${taxi.operator}\n${taxi.taxi}`;

function put(taxi) {
  const key = keyOf(taxi);
  const before = taxis.get(key);
  taxis.set(key, taxi);
  gone.delete(key);
  const isSame = before && before.lat === taxi.lat && before.lon === taxi.lon && before.status === taxi.status;
  if (!isSame) changed.set(key, taxi);
}

function drop(key) {
  taxis.delete(key);
  changed.delete(key);
  gone.add(key);
}

function redraw() {
  if (!map) {
    changed.clear();
    gone.clear();
    return;
  }
  place.dataset.waiting = changed.size;
  if (isAsked || changed.size + gone.size === 0) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    const source = map.getSource("taxis");
    // The map is still busy with what it was handed last.
    if (!source?.loaded()) return redraw();
    const add = [];
    for (const [key, { taxi, operator, status, lat, lon }] of changed) {
      if (add.length === BATCH) break;
      changed.delete(key);
      const geometry = { type: "Point", coordinates: [lon, lat] };
      add.push({ type: "Feature", properties: { key, taxi, operator, status }, geometry });
    }
    source.updateData({ add, remove: [...gone] });
    gone.clear();
    told.redrawn += add.length;
    told.batches += 1;
    told.largest = Math.max(told.largest, add.length);
    Object.assign(place.dataset, told, { taxis: taxis.size, waiting: changed.size });
    redraw();
  });
}

// --- What the server is asked for: the window, and a little around it.

let shown = null;
let stream = null;
let resting = null;
let again = null;

function holds(outer, inner) {
  return outer && outer[0] <= inner[0] && outer[1] <= inner[1] && outer[2] >= inner[2] && outer[3] >= inner[3];
}

// What is to be seen: that of the map, or what is around the customer's point or the middle.
function inView() {
  if (map) {
    const bounds = map.getBounds();
    return [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  }
  const given = ["lat", "lon"].map((id) => byId(id)?.value.trim().replace(",", ".") || NaN).map(Number);
  const [lat, lon] = given.every(Number.isFinite) ? given : [centre.lat, centre.lon];
  return [lon - AROUND, lat - AROUND, lon + AROUND, lat + AROUND];
}

function look() {
  const view = inView();
  const sides = [view[2] - view[0], view[3] - view[1]];
  if (Math.max(...sides) > WIDEST) {
    leave();
    map?.getSource("places")?.setData(none);
    return say(`Rapprochez la carte pour voir les communes${live ? " et les taxis" : ""}.`);
  }
  // Who came much nearer is to be told of less.
  const isNear = shown && (shown[2] - shown[0] > 3 * sides[0] || shown[3] - shown[1] > 3 * sides[1]);
  if (holds(shown, view) && !isNear) return;
  const [x, y] = sides.map((side) => Math.min(side / 4, (WIDEST - side) / 2));
  shown = [view[0] - x, view[1] - y, view[2] + x, view[3] + y];
  const bbox = shown.map((degrees) => degrees.toFixed(5)).join(",");
  map?.getSource("places")?.setData(`${location.origin}/console/map/places?bbox=${bbox}`);
  if (live) listen(bbox);
  say("");
}

function leave() {
  clearTimeout(again);
  stream?.close();
  [stream, shown] = [null, null];
  byId("count")?.replaceChildren();
  for (const key of [...taxis.keys()]) drop(key);
  redraw();
}

function listen(bbox) {
  stream?.close();
  stream = new EventSource(`${live}?bbox=${bbox}`);
  const on = (kind, tell) => stream.addEventListener(kind, (event) => tell(JSON.parse(event.data)));
  on("snapshot", (all) => {
    const here = new Set(all.taxis.map(keyOf));
    for (const key of [...taxis.keys()]) if (!here.has(key)) drop(key);
    all.taxis.forEach(put);
    redraw();
    list();
  });
  on("changes", ({ moved, gone }) => {
    moved.forEach(put);
    gone.forEach((taxi) => drop(keyOf(taxi)));
    redraw();
  });
  on("too_many", ({ most }) => {
    leave();
    say(`Il y a plus de ${most} taxis ici : rapprochez la carte.`);
  });
  stream.onopen = () => say("");
  stream.onerror = async () => {
    if (stream?.readyState !== EventSource.CLOSED) return say("La liaison est interrompue : rien ne bouge plus.");
    leave();
    // Why a stream was refused, only another request tells.
    const page = await fetch(location.pathname).catch(() => null);
    const text = (await page?.text().catch(() => "")) ?? "";
    if (page?.ok && !text.includes("data-live=")) return say("Votre session est terminée : reconnectez-vous.");
    say("Les taxis ne sont pas montrés : ils sont trop nombreux ici, ou le service ne répond pas.");
    again = setTimeout(look, AGAIN);
  };
}

// --- Filters and the list.

const filters = byId("filters");
const names = {};

function wanted() {
  const given = new FormData(filters);
  return { statuses: given.getAll("status"), operator: given.get("operator") ?? "" };
}

function filter() {
  const { statuses, operator } = wanted();
  const ofOperator = operator ? [["==", ["get", "operator"], operator]] : [];
  map?.setFilter("taxis", ["all", ["in", ["get", "status"], ["literal", statuses]], ...ofOperator]);
  list();
}

function list() {
  const { statuses, operator } = wanted();
  const seen = [];
  const operators = new Set();
  for (const taxi of taxis.values()) {
    operators.add(taxi.operator ?? "");
    if (statuses.includes(taxi.status) && (!operator || taxi.operator === operator)) seen.push(taxi);
  }
  if (shown && stream) {
    const free = seen.filter((taxi) => taxi.status === "free").length;
    byId("count").textContent = `${seen.length} taxis montrés, dont ${free} libres.`;
  }
  const choice = filters.querySelector("select");
  for (const name of operators) {
    const isNew = choice && name && ![...choice.options].some((option) => option.value === name);
    if (isNew) choice.append(new Option(name, name));
  }
  lines(seen.slice(0, LISTED));
}

// The lines of the list, by key: the taxi and its line. Of a taxi that stays its line stays, and the line in which
// somebody is stays where it is, even if its taxi went: whoever reads or is about to press is not moved.
const rows = byId("rows");
const lined = new Map();

function lines(listed) {
  const held = document.activeElement?.closest("#rows > tr") ?? null;
  const heldKey = held?.dataset.key;
  const isLeft = held && !listed.some((taxi) => keyOf(taxi) === heldKey);
  if (isLeft) listed.splice([...rows.children].indexOf(held), 0, lined.get(heldKey).taxi);
  const here = new Set(listed.map(keyOf));
  for (const [key, { line }] of lined) {
    if (here.has(key)) continue;
    line.remove();
    lined.delete(key);
  }
  // A line that is put where it stands already would lose who is in it.
  let isBefore = held !== null;
  let last = null;
  for (const taxi of listed) {
    const key = keyOf(taxi);
    const known = lined.get(key) ?? { line: newLine(key) };
    known.taxi = taxi;
    lined.set(key, known);
    fill(known.line, taxi, isLeft && key === heldKey && !taxis.has(key));
    const after = last;
    const isThere = (after ? after.nextElementSibling : rows.firstElementChild) === known.line;
    last = known.line;
    if (key === heldKey) isBefore = false;
    if (key === heldKey || isThere) continue;
    if (isBefore) held.before(known.line);
    else if (after) after.after(known.line);
    else rows.prepend(known.line);
  }
}

function newLine(key) {
  const line = document.createElement("tr");
  line.dataset.key = key;
  for (let number = 0; number < 4; number += 1) {
    const cell = document.createElement(number === 0 ? "th" : "td");
    if (number === 0) cell.scope = "row";
    line.append(cell);
  }
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Choisir" });
  button.addEventListener("click", (event) => {
    const now = taxis.get(key) ?? lined.get(key)?.taxi;
    if (!now) return;
    choose(now);
    // plotly keeps what a person did; where it thinks that nobody moved the map, a change of size undoes it.
    map?.easeTo({ center: [now.lon, now.lat] }, { originalEvent: event });
  });
  line.insertCell().append(button);
  return line;
}

function fill(line, taxi, isGone) {
  const status = isGone ? "n’est plus montré" : names[taxi.status] ?? taxi.status;
  for (const [number, text] of [taxi.taxi, taxi.operator ?? "", status, degrees(taxi)].entries()) {
    // What is the same is not read to anybody again.
    if (line.cells[number].textContent !== text) line.cells[number].textContent = text;
  }
  line.querySelector("button").setAttribute("aria-label", `Choisir le taxi ${taxi.taxi}`);
}

// --- What is clicked on: a taxi, or the ground.

// A part of a page; null where there is none, or where another one was asked for in its place meanwhile.
const asked = {};
async function part(address, selector) {
  asked[selector] = address;
  const answer = await fetch(address).catch(() => null);
  const text = (await answer?.text().catch(() => "")) ?? "";
  if (asked[selector] !== address) return null;
  return new DOMParser().parseFromString(text, "text/html").querySelector(selector);
}

async function choose(taxi) {
  byId("taxi").value = taxi.taxi;
  map?.setFilter("chosen", ["==", ["get", "key"], keyOf(taxi)]);
  const facts = document.createElement("dl");
  const fact = (name, text) => {
    facts.append(document.createElement("dt"), document.createElement("dd"));
    facts.lastChild.textContent = text;
    facts.lastChild.previousSibling.textContent = name;
  };
  fact("Taxi", taxi.taxi);
  fact("Opérateur", taxi.operator ?? "inconnu");
  fact("Statut", names[taxi.status] ?? taxi.status);
  fact("Position", degrees(taxi));
  fact("Entendu à", new Date(taxi.last_update * 1000).toLocaleTimeString("fr-FR"));
  byId("card").replaceChildren(facts);
  if (!own || taxi.operator !== own) return;
  const whole = await part(`/console/taxis/${encodeURIComponent(taxi.taxi)}`, "main dl");
  if (whole && byId("taxi").value === taxi.taxi) byId("card").append(whole);
}

async function ask() {
  const form = byId("customer");
  const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  const answer = await part(address, "#answer");
  if (answer) byId("answer").replaceChildren(...answer.childNodes);
  else if (asked["#answer"] === address) byId("answer").textContent = "Le service ne répond pas : recommencez.";
}

function ground({ lngLat, point }) {
  const [lat, lon] = [lngLat.lat.toFixed(6), lngLat.lng.toFixed(6)];
  const at = (layer) => map.queryRenderedFeatures(point, { layers: [layer] }).map(({ properties }) => properties);
  const what = [
    ...at("towns").map(({ name }) => name),
    ...at("zupc").map(({ nom, name }) => `ZUPC « ${nom ?? name} »`),
    ...at("exclusions").map(({ name }) => `zone d’exclusion « ${name} »`),
    ...at("stations").map(({ nom }) => `station « ${nom ?? ""} »`),
  ];
  byId("place").textContent = [`${lat}, ${lon}`, ...new Set(what)].join(" ; ");
  if (!live) return;
  [byId("lat").value, byId("lon").value] = [lat, lon];
  if (byId("taxi").value) ask();
}

if (live) {
  for (const box of filters.querySelectorAll("[name=status]")) names[box.value] = box.parentElement.textContent.trim();
  filters.hidden = byId("list").hidden = false;
  filters.addEventListener("change", filter);
  byId("customer").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  setInterval(list, LISTED_EVERY);
}
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : look()));

const begin = () => {
  look();
  place.dataset.ready = "1";
};

function drive() {
  map.on("click", (event) => {
    const { x, y } = event.point;
    const around = [[x - 6, y - 6], [x + 6, y + 6]];
    const [hit] = map.queryRenderedFeatures(around, { layers: ["taxis"] });
    const taxi = hit && taxis.get(hit.properties.key);
    if (taxi) choose(taxi);
    else ground(event);
  });
  // Who moves the map by the arrows asks for its middle by Enter.
  map.getCanvas().addEventListener("keydown", ({ key }) => {
    if (key === "Enter") ground({ lngLat: map.getCenter(), point: map.project(map.getCenter()) });
  });
  map.on("moveend", () => {
    clearTimeout(resting);
    resting = setTimeout(look, REST);
  });
  if (map.isStyleLoaded()) begin();
  else map.once("idle", begin);
}

if (map) {
  drive();
} else if (live) {
  for (const id of ["lat", "lon"]) byId(id).addEventListener("change", look);
  begin();
}
