// What the program's own sources say there is: what is added there and not looked at here fails the check.
import { readFileSync, readdirSync } from "node:fs";

const ROOT = new URL("../../", import.meta.url);

function named(path, pattern) {
  const names = [...readFileSync(new URL(path, ROOT), "utf8").matchAll(pattern)].map(([, name]) => name);
  if (names.length === 0) throw new Error(`${path} has no ${pattern}`);
  return names;
}

export const ROUTES = named("api/src/console.rs", /\.route\(\s*"([^"]+)"/g);
export const ROLES = named("api/src/role.rs", /Self::\w+ => "(\w+)"/g);
export const TOPICS = named("api/src/console/statistics.rs", /Topic \{\s*name: "(\w+)"/g);
export const REPORTS = readdirSync(new URL("analytics/src/reports/", ROOT))
  .filter((file) => file.endsWith(".sql"))
  .map((file) => file.replace(/\.sql$/, ""));
// The pictures that the README shows.
export const PICTURES = named("README.md", /\]\(docs\/pictures\/(\w+)\.png\)/g);
