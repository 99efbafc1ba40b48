// Every page of the console, and who may see it: a new page is a line here. `scripts/browser/check.mjs` fails where a
// route of `api/src/console.rs` is missing, or a line has none.
//
// - `path`: the route. Of one with a name in it, `at` makes an address, of what the world has.
// - `roles`: who may see it; `everybody` includes who is not logged in. Others are refused (403), nobody is to log in.
// - `hidden`: who is told that there is no such page (404).
// - `form`: a route of forms alone: no page, and refused without the token of a page of ours.
// - `data`: no page either, but what modules ask for: refused alike, and else left to the stories.
// - `shows`: a text that must be there, as text: the hostile name where anybody's words are shown.
// - `before`: what the world does first.
// - `ready`: what there must be before the page is looked at, as a selector, by role.
import { HOSTILE } from "./world.mjs";

export const ROLES = ["admin", "operateur", "moteur", "groupement", "analyste"];

const everybody = [...ROLES, null];

export const PAGES = [
  { path: "/console", roles: everybody },
  { path: "/console/login", roles: everybody },
  { path: "/console/opendata", roles: everybody },
  { path: "/doc/guide", roles: everybody },
  { path: "/console/logout", form: true },
  { path: "/console/act-as", roles: ["admin"], shows: HOSTILE },
  { path: "/console/act-as/end", form: true },
  { path: "/console/account", roles: ROLES, shows: HOSTILE },
  { path: "/console/account/endpoint", form: true },
  { path: "/console/account/trial", form: true },
  { path: "/console/account/key", form: true },
  { path: "/console/account/password", form: true },
  { path: "/console/taxis", roles: ["operateur"], shows: HOSTILE },
  {
    path: "/console/taxis/{id}", at: (world) => `/console/taxis/${world.taxi}`,
    roles: ["operateur"], hidden: ["admin"], shows: HOSTILE,
  },
  { path: "/console/hails", roles: ["admin", "operateur", "moteur"] },
  {
    path: "/console/hails/{id}", at: (world) => `/console/hails/${world.hail}`,
    roles: ["admin", "operateur", "moteur"], shows: HOSTILE,
  },
  {
    path: "/console/map", roles: everybody, before: (world) => world.free(),
    ready: (role) => (["admin", "operateur"].includes(role) ? "#rows button" : "#map[data-ready]"),
  },
  {
    path: "/console/map/live", at: () => "/console/map/live?bbox=2,48,2.5,48.5",
    roles: ["admin", "operateur"], data: true,
  },
  { path: "/console/drivers", roles: ["admin", "operateur"], shows: HOSTILE },
  { path: "/console/vehicles", roles: ["admin", "operateur"], shows: HOSTILE },
  { path: "/console/ads", roles: ["admin", "operateur"], shows: HOSTILE },
  { path: "/console/refusals", roles: ["admin", "operateur"] },
  { path: "/console/sessions", roles: ["admin", "moteur"], shows: HOSTILE },
  { path: "/console/support", roles: ["admin"] },
  { path: "/console/activity", roles: ["admin"], shows: HOSTILE },
  { path: "/console/users", roles: ["admin"], shows: HOSTILE },
  { path: "/console/users/{id}", at: () => "/console/users/1", roles: ["admin"], shows: HOSTILE },
  { path: "/console/users/{id}/rights", at: () => "/console/users/1/rights", form: true },
  { path: "/console/users/new", roles: ["admin"] },
  { path: "/console/statistics", roles: ["admin"] },
  { path: "/console/statistics/{name}", at: () => "/console/statistics/taxis", roles: ["admin"] },
  { path: "/console/statistics/{name}", at: () => "/console/statistics/hails", roles: ["admin"] },
  { path: "/console/statistics/{name}", at: () => "/console/statistics/heatmaps", roles: ["admin"] },
  { path: "/console/imports", roles: ["admin"] },
  {
    path: "/console/imports/{id}", at: (world) => `/console/imports/${world.imported}`,
    roles: ["admin"], shows: HOSTILE,
  },
  { path: "/console/reports", roles: ["admin", "analyste"] },
  { path: "/console/reports/{name}", at: () => "/console/reports/coverage", roles: ["admin", "analyste"] },
  { path: "/console/sql", roles: ["admin", "analyste"] },
  { path: "/console/recette", roles: ["operateur", "moteur"] },
  { path: "/console/recette/start", form: true },
  { path: "/console/recette/stop", form: true },
  // Of nobody's yet: a story makes one, and looks at it.
  { path: "/console/recette/{id}", at: () => "/console/recette/0", roles: [], hidden: ["operateur", "moteur"] },
  { path: "/console/simulator/operator", roles: ["operateur"], shows: HOSTILE },
  { path: "/console/simulator/operator/taxi", form: true },
  { path: "/console/simulator/operator/position", form: true },
  { path: "/console/simulator/operator/status", form: true },
  { path: "/console/simulator/app", roles: ["moteur"], shows: HOSTILE },
  { path: "/console/simulator/app/hail", form: true },
  { path: "/console/simulator/hail", form: true },
];

// Routes for everybody that are no pages: what pages load, and what stands for all that is not there.
export const OTHERS = ["/console/assets/{name}", "/console/map/places", "/console/{*path}"];
