// The simulators: a map to click on, a trace to drive along, hails that arrive by themselves. What is to be seen the
// page says: this module sends its forms, takes from the answer the parts that changed, and draws the points in them.

import { WIDEST, colour, none, ofKind, ofStatus, show, style } from "./ground.js";

// How often a taxi that drives or stays online sends its position, in milliseconds.
const SENT_EVERY = 5000;
// How long the page rests after it was asked for, how often it is where no stream tells of hails, and when a stream
// that was refused is asked for again.
const REST = 1000;
const POLLED_EVERY = 3000;
const AGAIN = 30_000;
// How much nearer or farther a taxi is, in metres, when it is said anew: what changes each second nobody listens to.
const SAID_EVERY = 100;
// Of a degree of latitude.
const METRES = 111_195;
// How far a taxi that does not say otherwise is seen, which is as far as any, in metres.
const REACH = 500;

const byId = (id) => document.getElementById(id);
const place = byId("map");
const { side, taxi, tiles, page: here } = place.dataset;
const isOperator = side === "operator";
const say = (text) => (byId("state").textContent = text);
// Whether what is said is that nothing was answered, and whether nothing will be: this page's session is over.
let isLost = false;
let isOver = false;

// A page that answers a form can be loaded again.
if (location.pathname !== new URL(here, location.href).pathname) history.replaceState(null, "", here);

// --- Pages, and the parts that are taken from them.

async function ask(address, options) {
  if (isOver) return null;
  const answer = await fetch(address, options).catch(() => null);
  const text = (await answer?.text().catch(() => "")) ?? "";
  const page = new DOMParser().parseFromString(text, "text/html");
  if (page.getElementById("hails")) {
    if (isLost) say("");
    isLost = false;
    return { page, isDone: answer.ok };
  }
  isLost = true;
  // An answer that broke off has no text.
  isOver = answer?.status === 403 || Boolean(answer?.ok && text);
  say(isOver ? "Votre session est terminée : rechargez la page." : "Le service ne répond pas : recommencez.");
  return null;
}

function send(form, changes = {}) {
  const data = new FormData(form);
  for (const [name, value] of Object.entries(changes)) data.set(name, value);
  const fields = new URLSearchParams(data);
  return form.method === "get" ? ask(`${form.action}?${fields}`) : ask(form.action, { method: "POST", body: fields });
}

function take(page, parts) {
  for (const part of parts) {
    const [old, fresh] = [byId(part), page.getElementById(part)];
    if (!old || !fresh) continue;
    if (part === "hails") takeHails(old, fresh);
    else old.replaceChildren(...fresh.childNodes);
  }
  draw();
}

// Of a hail that stands where it stood the forms stay, and whoever is in one; what is told of its approach changes, and
// its metres are those that were said last.
function takeHails(list, fresh) {
  const held = document.activeElement?.closest(".hail");
  const news = [];
  const sections = [...fresh.children].map((section) => {
    const name = section.querySelector("h3")?.textContent;
    const old = section.id && byId(section.id);
    if (old && old.dataset.status === section.dataset.status) {
      const [told, tells] = [old, section].map((one) => one.querySelector(".approach"));
      if (told.innerHTML !== tells.innerHTML) told.replaceChildren(...tells.childNodes);
      const far = told.querySelector(".far")?.textContent;
      const [before, now] = [told, tells].map((one) => one.dataset.metres);
      // Where one of them is not known they are no number apart.
      if (far && before !== now && !(Math.abs(now - before) < SAID_EVERY)) {
        if (now) told.dataset.metres = now;
        else delete told.dataset.metres;
        news.push(`${name}. ${far}.`);
      }
      return old;
    }
    if (name) news.push(`${old ? "" : "Nouvelle course. "}${name} : ${section.querySelector(".stands").textContent}.`);
    return section;
  });
  for (const old of [...list.children]) if (!sections.includes(old)) old.remove();
  sections.forEach((section, at) => {
    if (list.children[at] !== section) list.insertBefore(section, list.children[at] ?? null);
  });
  if (held && !held.isConnected) byId(held.id)?.querySelector("button, a").focus();
  if (news.length) byId("news").textContent = news.join(" ");
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.parts) return;
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "1";
  const answered = await send(form);
  delete form.dataset.sent;
  if (answered) take(answered.page, form.dataset.parts.split(" "));
  // Who asked for a taxi goes on with its hail.
  if (!form.isConnected && document.activeElement === document.body) byId("hails").querySelector("a")?.focus();
});

// --- Hails, as they arrive and go on.

let isAsked = false;
let isAgain = false;

async function refresh() {
  if (isOver) return clearInterval(polling);
  isAgain = isAsked;
  if (isAsked) return;
  isAsked = true;
  const answered = await ask(here);
  if (answered) take(answered.page, isOperator ? ["taxi", "hails"] : ["hails"]);
  setTimeout(() => {
    isAsked = false;
    if (isAgain) refresh();
  }, REST);
}

let polling = null;

function listen() {
  if (isOver) return;
  const stream = new EventSource("/console/simulator/events");
  stream.onopen = () => {
    clearInterval(polling);
    polling = null;
    place.dataset.listens = "1";
    refresh();
  };
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    if (isOver) return;
    polling ??= setInterval(refresh, POLLED_EVERY);
    setTimeout(listen, AGAIN);
  };
  stream.addEventListener("hail", ({ data }) => {
    const { from_status, hail } = JSON.parse(data);
    if (!isOperator || hail.taxi.id === taxi) refresh();
    else if (from_status === null) tellOfOther(hail.taxi.id);
  });
  stream.addEventListener("position", ({ data }) => {
    if (byId(`hail-${JSON.parse(data).hail}`)) refresh();
  });
}

// A hail of another taxi is on the page of that one.
function tellOfOther(id) {
  const link = document.createElement("a");
  link.href = `${location.pathname}?${new URLSearchParams({ taxi: id })}`;
  link.textContent = `taxi ${id}`;
  byId("news").replaceChildren("Nouvelle course pour un autre taxi : ", link, ".");
}

// What a press of it would do is done without.
byId("refresh").remove();

// --- The map.

const collection = (features) => ({ ...none, features });
const source = { type: "geojson", data: none };
const sources = { places: source, lines: source, points: source };

function layers(add) {
  const [ground, text, accent, bad] = ["--ground", "--text", "--accent", "--bad-text"].map(colour);
  add("towns", "line", "places", { "line-color": colour("--line"), "line-width": 1 }, ofKind("town"));
  add("exclusions", "fill", "places", { "fill-color": bad, "fill-opacity": 0.2 }, ofKind("exclusion"));
  const dashed = { "line-color": accent, "line-width": 2, "line-dasharray": [2, 2] };
  add("approach", "line", "lines", dashed, ofKind("approach"));
  add("trace", "line", "lines", { "line-color": text, "line-width": 3 }, ofKind("trace"));
  add("reach", "line", "lines", { "line-color": accent, "line-width": 1 }, ofKind("reach"));
  const round = { "circle-radius": 3, "circle-color": text };
  add("corners", "circle", "lines", round, ofKind("trace"));
  add("customer", "circle", "points", {
    "circle-radius": 7, "circle-color": ground, "circle-stroke-color": accent, "circle-stroke-width": 3,
  }, ofKind("customer"));
  add("taxi", "circle", "points", {
    "circle-radius": 8, "circle-stroke-color": ground, "circle-stroke-width": 2, "circle-color": ofStatus(),
  }, ["!=", ["get", "kind"], "customer"]);
}

const deed = isOperator ? "envoie le taxi à" : "cherche à";
const map = await show(place, () => style(sources, tiles, layers), deed);
if (!map) say("La carte ne peut pas être dessinée par ce navigateur ; les formulaires font la même chose.");

const feature = (type, coordinates, properties) => ({ type: "Feature", properties, geometry: { type, coordinates } });
const turned = ([lat, lon]) => [lon, lat];
const placeOf = (one) => one.dataset.at.split(",").map(Number);

// A circle of so many metres.
function ring([lat, lon], radius) {
  const tall = radius / METRES;
  const wide = tall / Math.cos((lat * Math.PI) / 180);
  const turns = Array.from({ length: 65 }, (_, i) => (i * Math.PI) / 32);
  return feature("LineString", turns.map((turn) => [lon + wide * Math.cos(turn), lat + tall * Math.sin(turn)]), {
    kind: "reach",
  });
}

// What the page says of places, and the trace.
function draw() {
  if (!map?.getSource("points")) return;
  const told = [...document.querySelectorAll("[data-at]")];
  const points = told.map((one) => {
    const { point: kind, status = kind === "found" ? "free" : "" } = one.dataset;
    return feature("Point", turned(placeOf(one)), { kind, status });
  });
  const lines = [...document.querySelectorAll(".approach")].flatMap((one) => {
    const ends = [...one.querySelectorAll("[data-at]")].map((end) => turned(placeOf(end)));
    return ends.length === 2 ? [feature("LineString", ends, { kind: "approach" })] : [];
  });
  // From where the taxi is seen, or where taxis are looked for.
  const middle = document.querySelector(isOperator ? "#taxi [data-at]" : "#found [data-point='customer']");
  if (middle) lines.push(ring(placeOf(middle), (isOperator && Number(byId("radius").value)) || REACH));
  const trace = isOperator ? traced().points : [];
  if (trace.length) lines.push(feature("LineString", trace.map(turned), { kind: "trace" }));
  map.getSource("points").setData(collection(points));
  map.getSource("lines").setData(collection(lines));
}

// The towns that are to be seen, where they are not too many.
let seen = "";
async function look() {
  const bounds = map.getBounds();
  const view = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  const isWide = Math.max(view[2] - view[0], view[3] - view[1]) > WIDEST;
  const bbox = view.map((degrees) => degrees.toFixed(5)).join(",");
  if (bbox === seen) return;
  seen = bbox;
  const answer = isWide ? null : await fetch(`/console/map/places?bbox=${bbox}`).catch(() => null);
  const places = (answer?.ok && (await answer.json().catch(() => null))) || none;
  if (seen === bbox) map.getSource("places").setData(places);
}

function pick({ lat, lng }) {
  const at = [lat, lng].map((degrees) => degrees.toFixed(6));
  if (!isOperator) {
    [byId("lat").value, byId("lon").value] = at;
    byId("search").requestSubmit();
  } else if (byId("tracing").checked) {
    const trace = byId("trace");
    trace.value = `${trace.value.trim()}\n${at.join(", ")}`.trim();
    draw();
  } else {
    move(at, true);
  }
}

function begin() {
  look();
  draw();
  place.dataset.ready = "1";
}

if (map) {
  map.on("click", ({ lngLat }) => pick(lngLat));
  map.getCanvas().addEventListener("keydown", ({ key }) => {
    if (key === "Enter") pick(map.getCenter());
  });
  map.on("moveend", look);
  if (map.isStyleLoaded()) begin();
  else map.once("idle", begin);
}

// --- Driving.

// The points of the trace, and how many lines are none. GPX has them in attributes.
function traced() {
  const text = byId("trace").value;
  const given = text.includes("<")
    ? [...new DOMParser().parseFromString(text, "text/xml").querySelectorAll("trkpt, rtept, wpt")].map((one) =>
        [one.getAttribute("lat"), one.getAttribute("lon")])
    : text.split("\n").filter((line) => line.trim()).map((line) => line.trim().split(/[\s,;]+/));
  const points = given.map((pair) => pair.map(Number));
  const right = points.filter((pair) => pair.length === 2 && Math.abs(pair[0]) <= 85 && Math.abs(pair[1]) <= 180);
  return { points: right, wrong: points.length - right.length };
}

function metres([lat, lon], [otherLat, otherLon]) {
  const wide = Math.cos((lat * Math.PI) / 180);
  return METRES * Math.hypot(otherLat - lat, (otherLon - lon) * wide);
}

// Places along a trace, so many metres apart, from its first point to its last.
function along(points, apart) {
  const places = [];
  let next = 0;
  for (let at = 1; at < points.length; at += 1) {
    const [from, to] = [points[at - 1], points[at]];
    const long = metres(from, to);
    for (; next < long; next += apart) places.push(from.map((degrees, i) => degrees + ((to[i] - degrees) * next) / long));
    next -= long;
  }
  return [...places, points.at(-1)];
}

let left = [];
let length = 0;

// Sends the taxi there; what is told of it is told where somebody asked for this one.
async function move(at, isTold) {
  const [lat, lon] = at.map((degrees) => Number(degrees).toFixed(6));
  const answered = await send(byId("position"), { lat, lon });
  if (!answered) {
    if (isOver) stop("");
    return;
  }
  take(answered.page, isTold || !answered.isDone ? ["told", "taxi", "hails", "exchange"] : ["taxi", "hails", "exchange"]);
  if (!answered.isDone) return stop("");
  for (const [id, value] of [["lat", lat], ["lon", lon]]) {
    if (byId(id) !== document.activeElement) byId(id).value = value;
  }
}

function stop(why) {
  left = [];
  byId("go").textContent = "Parcourir le trajet";
  byId("progress").textContent = "";
  if (why) say(why);
}

async function goOn() {
  const next = left.shift();
  const isLast = left.length === 0;
  byId("progress").textContent = `En route : position ${length - left.length} sur ${length}.`;
  await move(next, false);
  // Another drive may have begun meanwhile.
  if (isLast && !left.length) stop(isLost ? "" : "Le taxi est au bout du trajet.");
}

let isSending = false;

// Drives on, or stays online, once what was sent last is answered.
async function beat() {
  if (isSending || isOver) return;
  isSending = true;
  const last = document.querySelector("#taxi [data-at]");
  if (left.length) await goOn();
  else if (byId("online").checked && last) await move(placeOf(last), false);
  isSending = false;
}

function start() {
  if (isOver) return;
  if (left.length) return stop("Le taxi s’est arrêté.");
  const { points, wrong } = traced();
  if (wrong) return say(`${wrong} lignes du trajet ne sont pas deux nombres : latitude, longitude.`);
  if (points.length < 2) return say("Un trajet a deux points au moins : tracez-le sur la carte, ou écrivez-le.");
  const speed = Math.max(1, Number(byId("speed").value) || 30);
  left = along(points, (speed / 3.6) * (SENT_EVERY / 1000));
  length = left.length;
  byId("go").textContent = "Arrêter";
  say("Le taxi est en route.");
  beat();
}

if (isOperator) {
  byId("drive").hidden = false;
  byId("go").addEventListener("click", start);
  byId("trace").addEventListener("input", draw);
  byId("clear").addEventListener("click", () => {
    byId("trace").value = "";
    draw();
  });
  setInterval(beat, SENT_EVERY);
}
listen();
