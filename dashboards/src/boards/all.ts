// SPDX-License-Identifier: MIT
// Every board there is.

import type { Board } from "../lib/spec.js";
import { database } from "./database.js";
import { overview } from "./overview.js";

export const BOARDS: readonly Board[] = [overview, database];
