// SPDX-License-Identifier: MIT
// Writes every board as DIR/UID.json. Usage: node build/generate.js DIR

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOARDS } from "./boards/all.js";
import { toGrafana } from "./lib/board.js";
import { toJson } from "./lib/json.js";

const [dir] = process.argv.slice(2);
if (dir === undefined) throw new Error("usage: generate.js DIR");
mkdirSync(dir, { recursive: true });
for (const board of BOARDS) {
  writeFileSync(join(dir, `${board.uid}.json`), toJson(toGrafana(board)));
}
