// What the checks need of npm: where `scripts/test` installs it, or where NODE_PATH says.
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");

export const require = createRequire(join(cache, "maraude-browser", "package.json"));
