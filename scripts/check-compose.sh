#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks compose.yaml, deploy/ and .env.example without a container engine (and
# with `docker compose config` where there is a client). No arguments. First
# proves on broken copies that each check can fail, then prints a line a check
# and "N passed, M failed, K skipped"; exits 1 if one failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/tests/compose/check_test.py"
exec "$root/tests/compose/check.py" "$root"
