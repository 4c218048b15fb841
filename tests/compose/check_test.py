#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves that each check of check.py fails on a copy that is broken for it."""

import pathlib
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check  # noqa: E402  (found through the line above)

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = "compose.yaml"
DOCKERFILE = "deploy/Dockerfile"
PROMETHEUS = "deploy/prometheus/prometheus.yml"

# Check, file, text in it, what to put there, a word of the complaint.
BREAKAGES = [
    ("keys", COMPOSE, "    shm_size:", "    shm-size:", "shm-size"),
    ("keys", COMPOSE, "      start_period:", "      startperiod:", "startperiod"),
    ("keys", COMPOSE, "profiles: [demo]", "profiles: demo", "not a list"),
    ("dependencies", COMPOSE, "      postgres: {cond", "      pg: {cond", "pg"),
    ("dependencies", COMPOSE, "service_healthy", "service_well", "condition"),
    ("dependencies", COMPOSE, ", required: false", "", "profile"),
    ("names", COMPOSE, "  smtp_password:\n", "  smtp_pass:\n", "smtp_pass"),
    ("names", COMPOSE, "\nvolumes:\n  postgres:", "\nvolumes:", "postgres"),
    ("mounts", COMPOSE, "fixtures/demo.sql", "fixtures/d.sql", "d.sql"),
    ("mounts", COMPOSE, "password.example", "password.sample", "password.sample"),
    ("images", COMPOSE, "prom/prometheus:v3.13.2", "prom/prometheus", "prometheus"),
    ("images", COMPOSE, "mailpit:v1.31.4", "mailpit:latest", "latest"),
    ("images", DOCKERFILE, "debian:12-slim", "debian:stable-slim", "stable"),
    ("images", DOCKERFILE, "runtime AS load", "runtime AS loader", "load"),
    ("ports", COMPOSE, "127.0.0.1:${MAIL", "${MAIL", "mail"),
    ("hardening", COMPOSE, "  read_only: true\n", "", "written"),
    ("hardening", COMPOSE, "cap_drop: [ALL]", "cap_drop: []", "capabilities"),
    ("hardening", COMPOSE, "      - --web.route-prefix=/\n    volumes:\n"
     "      - ./deploy/prom", "      - --web.enable-lifecycle\n    volumes:\n"
     "      - ./deploy/prom", "web page"),
    ("hardening", COMPOSE, "no-new-privileges:true", "x", "privileges"),
    ("health", DOCKERFILE, "HEALTHCHECK", "LABEL", "exporter"),
    ("health", COMPOSE, "test: [CMD, /mailpit, readyz]", "retries: 3", "mail"),
    ("variables", COMPOSE, "${LOAD_RATE:-20}", "${RATE:-20}", "RATE"),
    ("variables", ".env.example", "#MAIL_PORT=8025\n", "", "MAIL_PORT"),
    ("packages", DOCKERFILE, '--no-install-recommends "${packages[@]}"',
     "--no-install-recommends libpq5", "named"),
    ("packages", DOCKERFILE, "package_list build", "package_list bild", "bild"),
    ("runtime", "scripts/lib/packages.sh", " libpq5", "", "libpq"),
    ("prometheus", PROMETHEUS, "job_name: node", "job: node", "promtool"),
    ("prometheus", PROMETHEUS, "/*.rules.yml", "/*.rule", "no file"),
    ("targets", PROMETHEUS, "exporter:9187", "exporters:9187", "exporters"),
    ("targets", "alerts/alertmanager.yml", "mail:1025", "post:1025", "post"),
    ("alertmanager", "alerts/alertmanager.yml", "receivers:", "receiver:", "amtool"),
    ("alertmanager", "alerts/alertmanager.yml", "/*.tmpl", "/*.tpl", "no file"),
    ("mail_settings", "alerts/demo.sed", "require_tls: false", "require_tls: true",
     "catcher"),
    ("mail_settings", "deploy/alertmanager/start.sh", 'if [ "$SMTP_SMARTHOST" = mail:1025 ]',
     "if true", "without TLS"),
    ("mail_settings", "deploy/alertmanager/start.sh", "put '^  smtp_from", "put '^  smtp_fro:",
     "SMTP_FROM"),
]


class Breakages(unittest.TestCase):
    def setUp(self):
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.root = pathlib.Path(where.name)
        for name in (COMPOSE, ".env.example", "deploy", "alerts", "tests/fixtures",
                     "dashboards/generated", "scripts/lib"):
            source, target = ROOT / name, self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        program = ROOT / "build/release/meshhook-exporter"
        if program.exists():
            link = self.root / "build/release/meshhook-exporter"
            link.parent.mkdir(parents=True)
            link.symlink_to(program)

    def complaints(self, name):
        try:
            return list(check.checks()[f"check_{name}"](check.Stack(self.root)))
        except check.Skip as reason:
            raise unittest.SkipTest(str(reason)) from reason

    def test_each_is_found(self):
        for name, file, old, new, word in BREAKAGES:
            with self.subTest(check=name, file=file, old=old):
                path = self.root / file
                sound = path.read_text()
                self.assertIn(old, sound)
                path.write_text(sound.replace(old, new))
                try:
                    found = " ".join(self.complaints(name))
                finally:
                    path.write_text(sound)
                self.assertIn(word, found)

    def test_each_check_is_broken_once(self):
        broken = {f"check_{name}" for name, *_ in BREAKAGES}
        # Needs a client, which brings its own tests.
        self.assertEqual(set(check.checks()) - broken, {"check_client"})


if __name__ == "__main__":
    unittest.main()
