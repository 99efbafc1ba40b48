// Every page of the console, and who may see it: a new page is a line here. `scripts/browser/check.mjs` fails where a
// route of `api/src/console.rs` is missing, or a line has none.
//
// - `path`: the route. Of one with a name in it `at` makes an address, of what the world has and who looks.
// - `roles`: who may see it; `everybody` includes who is not logged in. Others are refused (403), nobody is to log in.
// - `hidden`: who is told that there is no such page (404).
// - `form`: a route of forms alone: no page, and refused without the token of a page of ours.
// - `data`: no page either, but what modules ask for: refused alike, and else left to the stories.
// - `shows`: the fields whose hostile names must be there, as text: all that partners write; by account where it
//   differs.
// - `says`: other texts that must be there, by account.
// - `before`: what the world does first.
// - `ready`: what there must be before the page is looked at, as a selector, by account.
import { REPORTS, ROLES, TOPICS } from "./source.mjs";
import { HOSTILE, MANAGER, PARTNER, PLATE, day } from "./world.mjs";

// One of each role, called like it, and one who manages others.
export const ACCOUNTS = [...ROLES, MANAGER];

const everybody = [...ACCOUNTS, null];
const registrars = ["admin", "operateur"];
const searchers = ["admin", "operateur", "moteur"];
const analysts = ["admin", "analyste"];
const cab = ["marque", "modèle", "couleur", "prénom", "nom"];

export const PAGES = [
  { path: "/console", roles: everybody },
  { path: "/console/login", roles: everybody },
  { path: "/console/opendata", roles: everybody },
  { path: "/doc/guide", roles: everybody },
  { path: "/console/logout", form: true },
  { path: "/console/act-as", roles: ["admin", MANAGER], shows: ["compte", PARTNER] },
  { path: "/console/act-as/end", form: true },
  { path: "/console/account", roles: ACCOUNTS, shows: ["compte"] },
  { path: "/console/account/endpoint", form: true },
  { path: "/console/account/trial", form: true },
  { path: "/console/account/key", form: true },
  { path: "/console/account/password", form: true },
  { path: "/console/taxis", roles: ["operateur"], shows: ["marque", "modèle", "prénom", "nom"] },
  {
    path: "/console/taxis/{id}", at: (world) => `/console/taxis/${world.taxi}`,
    roles: ["operateur"], hidden: ["admin"], shows: [...cab, "titulaire"],
  },
  { path: "/console/hails", roles: searchers, shows: ["client"] },
  {
    path: "/console/hails/{id}", at: (world) => `/console/hails/${world.hail}`,
    roles: searchers,
    shows: (account) => ["client", "adresse", ...(account === "admin" ? ["téléphone-client"] : [])],
  },
  {
    path: "/console/map", roles: everybody, before: (world) => world.free(),
    ready: (account) => (registrars.includes(account) ? "#rows button" : "#map[data-ready]"),
  },
  {
    path: "/console/map/live", at: () => "/console/map/live?bbox=2,48,2.5,48.5",
    roles: registrars, data: true,
  },
  {
    path: "/console/drivers", roles: registrars,
    shows: (account) => ["nom", "prénom", ...(account === "admin" ? ["carte", PARTNER] : [])],
  },
  {
    path: "/console/vehicles", roles: registrars,
    shows: (account) => ["marque", "modèle", "couleur", ...(account === "admin" ? [PARTNER] : [])],
    says: (account) => (account === "admin" ? [PLATE] : []),
  },
  {
    path: "/console/ads", roles: registrars,
    shows: (account) => ["titulaire", ...(account === "admin" ? ["numéro", PARTNER] : [])],
  },
  {
    path: "/console/refusals", roles: registrars, before: (world) => world.refused(),
    at: (world, account) => `/console/refusals${account === "admin" ? `?account=${world.partner}` : ""}`,
    // Of a refused text the beginning is kept.
    says: () => [HOSTILE.slice(0, 64)],
  },
  { path: "/console/sessions", roles: ["admin", "moteur"], shows: ["client"] },
  { path: "/console/support", roles: ["admin"], shows: ["adresse", "téléphone-client", "téléphone-taxi"] },
  { path: "/console/activity", roles: ["admin"], shows: ["client"] },
  { path: "/console/users", roles: ["admin"], shows: ["compte", PARTNER, MANAGER] },
  {
    path: "/console/users/{id}", at: (world) => `/console/users/${world.partner}`, roles: ["admin"],
    shows: [PARTNER, MANAGER, "nom-du-partenaire", "courriel", "téléphone", "courriel-technique",
      "téléphone-technique", "serveur"],
  },
  { path: "/console/users/{id}/rights", at: () => "/console/users/1/rights", form: true },
  { path: "/console/users/new", roles: ["admin"] },
  { path: "/console/statistics", roles: ["admin"] },
  ...TOPICS.map((topic) => ({
    path: "/console/statistics/{name}", at: () => `/console/statistics/${topic}`, roles: ["admin"],
    // Nobody narrows these, so they name nobody.
    ...(["heatmaps", "letaxi"].includes(topic)
      ? { ready: () => ".chart svg" }
      : { shows: ["compte", "nom-du-partenaire", ...(topic === "groupements" ? [PARTNER, MANAGER] : [])] }),
  })),
  { path: "/console/imports", roles: ["admin"] },
  {
    path: "/console/imports/{id}", at: (world) => `/console/imports/${world.imported}`,
    roles: ["admin"], shows: ["commune"],
  },
  { path: "/console/reports", roles: analysts },
  ...REPORTS.map((report) => ({
    path: "/console/reports/{name}", at: () => `/console/reports/${report}?from=${day(-1)}&to=${day(1)}`,
    roles: analysts, before: (world) => world.archived(),
    shows: report === "compliance" ? ["compte"] : [],
  })),
  { path: "/console/sql", roles: analysts },
  { path: "/console/recette", roles: ["operateur", "moteur"] },
  { path: "/console/recette/start", form: true },
  { path: "/console/recette/stop", form: true },
  // Of nobody's yet: a story makes one, and looks at it.
  { path: "/console/recette/{id}", at: () => "/console/recette/0", roles: [], hidden: ["operateur", "moteur"] },
  { path: "/console/simulator/operator", roles: ["operateur"], shows: ["client"], ready: () => "#map[data-ready]" },
  { path: "/console/simulator/operator/taxi", form: true },
  { path: "/console/simulator/operator/position", form: true },
  { path: "/console/simulator/operator/status", form: true },
  { path: "/console/simulator/app", roles: ["moteur"], shows: ["client"], ready: () => "#map[data-ready]" },
  { path: "/console/simulator/app/hail", form: true },
  { path: "/console/simulator/hail", form: true },
  { path: "/console/simulator/events", roles: ["operateur", "moteur"], data: true },
];

// Routes for everybody that are no pages: what pages load, and what stands for all that is not there.
export const OTHERS = ["/console/assets/{name}", "/console/map/places", "/console/{*path}"];
