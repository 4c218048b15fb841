#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks compose.yaml and what it mounts, without a container engine.

  check.py [ROOT]

Prints a line a check and "N passed, M failed, K skipped"; exits 1 if one
failed. Needs python3-yaml, promtool and amtool. ROOT is the repository, or a
copy of it. Each check is a function that yields what is wrong; its docstring
says what must hold. check_test.py beside it proves that each can fail.
"""

import glob
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

# The keys in use. One that is missing here is a typing error or a new idea
# that someone should look up in the Compose specification first.
TOP_KEYS = {"name", "services", "secrets", "volumes"}
SERVICE_KEYS = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "entrypoint",
    "environment", "healthcheck", "image", "logging", "pid", "ports",
    "profiles", "read_only", "restart", "secrets", "security_opt", "shm_size",
    "tmpfs", "user", "volumes",
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period",
                    "disable"}
CONDITIONS = {"service_started", "service_healthy",
              "service_completed_successfully"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::?[-?+]([^}]*))?\}")


class Skip(Exception):
    """Raised by a check that this machine has no means for."""


class Stack:
    """compose.yaml and the files around it."""

    def __init__(self, root):
        self.root = root
        self.text = (root / "compose.yaml").read_text()
        self.file = yaml.safe_load(self.text)
        self.services = self.file["services"]
        self.dockerfile = (root / "deploy/Dockerfile").read_text()
        self.env_example = (root / ".env.example").read_text()

    def defaults(self, text):
        """Text with every ${NAME:-default} replaced by the default."""
        return VARIABLE.sub(lambda match: match[2] or "", text)

    def mounts(self):
        """(service, source, target) of every mount; names of volumes too."""
        for name, service in self.services.items():
            for volume in service.get("volumes", []):
                source, target = self.defaults(volume).split(":")[:2]
                yield name, source, target

    def run(self, *command, **options):
        """Nothing if the command succeeds, otherwise its last lines."""
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, **options)
        if done.returncode:
            yield f"{command[0]}: " + " / ".join(done.stdout.splitlines()[-5:])

    def mounted(self, source, where):
        """A copy of a mounted file in which container paths are real ones."""
        text = (self.root / source).read_text()
        for _, path, target in self.mounts():
            if path.startswith("./"):
                text = text.replace(target, str((self.root / path).resolve()))
        secrets = where / "secrets"
        secrets.mkdir(exist_ok=True)
        for example in (self.root / "deploy/secrets").glob("*.example"):
            shutil.copy(example, secrets / example.stem)
        text = text.replace("/etc/alertmanager/secrets", str(secrets))
        copy = where / pathlib.Path(source).name
        copy.write_text(text)
        return copy


def check_keys(stack):
    """only known keys, of the right form"""
    extra = set(stack.file) - TOP_KEYS
    yield from (f"unknown key {key}" for key in extra if not key.startswith("x-"))
    for name, service in stack.services.items():
        yield from (f"{name}: unknown key {key}"
                    for key in set(service) - SERVICE_KEYS)
        yield from (f"{name}: unknown key healthcheck.{key}"
                    for key in set(service.get("healthcheck", {})) - HEALTHCHECK_KEYS)
        for key in ("command", "entrypoint", "ports", "volumes", "secrets",
                    "profiles", "cap_drop"):
            if not isinstance(service.get(key, []), list):
                yield f"{name}: {key} is not a list"


def check_client(stack):
    """`docker compose config` accepts it, where there is such a client"""
    try:
        subprocess.run(["docker", "compose", "version"], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as absent:
        raise Skip("no docker compose here") from absent
    for profiles in ([], ["--profile", "demo"]):
        yield from stack.run("docker", "compose", "--env-file", ".env.example",
                             *profiles, "config", "--quiet", cwd=stack.root)


def check_dependencies(stack):
    """every dependency exists, can be waited for and is in the same profile"""
    for name, service in stack.services.items():
        for other, how in service.get("depends_on", {}).items():
            if other not in stack.services:
                yield f"{name} depends on {other}, which does not exist"
                continue
            if how.get("condition") not in CONDITIONS:
                yield f"{name}: no such condition: {how.get('condition')}"
            required = how.get("required", True)
            outside = set(stack.services[other].get("profiles", []))
            if required and outside - set(service.get("profiles", [])):
                yield f"{name} needs {other}, which is in a profile only"


def check_names(stack):
    """secrets and volumes are defined where they are used, and used"""
    used = {"secrets": set(), "volumes": set()}
    for name, service in stack.services.items():
        for secret in service.get("secrets", []):
            used["secrets"].add(secret["source"] if isinstance(secret, dict) else secret)
    used["volumes"] = {source for _, source, _ in stack.mounts()
                       if source[0] not in "./"}
    for kind, names in used.items():
        yield from (f"{kind}: {name} is used or defined, but not both"
                    for name in names ^ set(stack.file[kind]))


def check_mounts(stack):
    """every file and folder that is mounted exists"""
    sources = [(name, source) for name, source, _ in stack.mounts()]
    sources += [(name, stack.defaults(secret["file"]))
                for name, secret in stack.file["secrets"].items()]
    for name, source in sources:
        if source[0] in "./" and not (stack.root / source).exists():
            yield f"{name}: {source} does not exist"


def check_images(stack):
    """every image has a fixed version, or is built here"""
    for name, service in stack.services.items():
        tag = service["image"].rpartition(":")[2]
        if "build" in service:
            stage = service["build"]["target"]
            if not re.search(rf"^FROM \S+ AS {stage}$", stack.dockerfile, re.M):
                yield f"{name}: deploy/Dockerfile has no stage {stage}"
        elif not re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag):
            yield f"{name}: {service['image']} is not a fixed version"
    for image in re.findall(r"^FROM (\S+:\S+)", stack.dockerfile, re.M):
        if not re.search(r":\d", image):
            yield f"deploy/Dockerfile: {image} is not a fixed version"


def check_ports(stack):
    """every published port is on 127.0.0.1"""
    for name, service in stack.services.items():
        for port in service.get("ports", []):
            if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", stack.defaults(str(port))):
                yield f"{name}: {port}"
        if service.get("network_mode") == "host":
            yield f"{name}: is on the host's network"


def check_hardening(stack):
    """no service has a writable root, spare rights, or an API that ends it"""
    for name, service in stack.services.items():
        if service.get("read_only") is not True:
            yield f"{name}: its root can be written"
        if service.get("cap_drop") != ["ALL"]:
            yield f"{name}: keeps capabilities"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: may gain privileges"
        # Any web page could call it: Prometheus asks nobody for a password.
        if {"--web.enable-lifecycle", "--web.enable-admin-api"} & set(
                service.get("command", [])):
            yield f"{name}: any web page may end it or delete its data"


def check_health(stack):
    """every service that stays says whether it is well"""
    for name, service in stack.services.items():
        stage = service.get("build", {}).get("target")
        own = stage and re.search(rf"^FROM \S+ AS {stage}\n(?:(?!FROM ).*\n)*HEALTHCHECK",
                                  stack.dockerfile, re.M)
        # The load has nothing to ask, and migrate ends.
        if name not in ("load", "migrate") and not own and "test" not in service.get(
                "healthcheck", {}):
            yield name


def check_variables(stack):
    """every variable is in .env.example, and each of those is used"""
    used = {match[1] for match in VARIABLE.finditer(stack.text)}
    used.add("COMPOSE_PROFILES")
    known = set(re.findall(r"^#?([A-Z_]+)=", stack.env_example, re.M))
    yield from (f"{name} is used or documented, but not both"
                for name in used ^ known)


def check_packages(stack):
    """the Dockerfile installs groups of scripts/lib/packages.sh, nothing else"""
    installs = len(re.findall(r"apt-get install", stack.dockerfile))
    groups = re.findall(r"package_list (\w+)\)", stack.dockerfile)
    literal = re.findall(r'apt-get install [^&|\n]*no-install-recommends (?!"\$\{packages\[@\]\}")',
                         stack.dockerfile)
    if installs != len(groups) or literal:
        yield "packages are named in deploy/Dockerfile"
    for group in groups:
        yield from stack.run("bash", "-c", '. "$0" && package_list "$1"',
                             stack.root / "scripts/lib/packages.sh", group)


def check_runtime(stack):
    """the group `runtime` has the package of every library the program loads"""
    program = stack.root / "build/release/meshhook-exporter"
    if not program.exists():
        raise Skip("build/release/meshhook-exporter is not built")
    listed = subprocess.run(
        ["bash", "-c", '. "$0" && package_list runtime',
         stack.root / "scripts/lib/packages.sh"],
        text=True, check=True, capture_output=True).stdout.split()
    listed += ["libc6", "libstdc++6", "libgcc-s1"]  # every Debian has these
    needed = set(re.findall(r"NEEDED\s+(\S+)", subprocess.run(
        ["objdump", "-p", program], text=True, check=True,
        capture_output=True).stdout))
    linked = subprocess.run(["ldd", program], text=True, check=True,
                            capture_output=True).stdout
    for library, path in re.findall(r"(\S+) => (\S+)", linked):
        if library not in needed:
            continue
        found = subprocess.run(["dpkg", "-S", f"*/{pathlib.Path(path).name}"],
                               text=True, check=False, capture_output=True).stdout
        if not {line.split(":")[0] for line in found.splitlines()} & set(listed):
            yield f"{library} is in none of them"


def check_prometheus(stack):
    """promtool accepts prometheus.yml and the rules it names"""
    with tempfile.TemporaryDirectory() as where:
        config = stack.mounted("deploy/prometheus/prometheus.yml", pathlib.Path(where))
        yield from stack.run("promtool", "check", "config", config)
        for pattern in yaml.safe_load(config.read_text())["rule_files"]:
            if not glob.glob(pattern):
                yield f"{pattern} matches no file"


def check_targets(stack):
    """every address in a mounted configuration is a service's"""
    for source in ("deploy/prometheus/prometheus.yml", "alerts/alertmanager.yml",
                   "deploy/grafana/provisioning/datasources/prometheus.yml"):
        text = (stack.root / source).read_text()
        for host, port in re.findall(r'["\s/]([a-z_]+):(\d{4,5})\b', text):
            if host != "localhost" and host not in stack.services:
                yield f"{source}: {host}:{port} is no service"


def check_alertmanager(stack):
    """amtool accepts alertmanager.yml and its templates"""
    with tempfile.TemporaryDirectory() as where:
        config = stack.mounted("alerts/alertmanager.yml", pathlib.Path(where))
        yield from stack.run("amtool", "check-config", config)
        for pattern in yaml.safe_load(config.read_text())["templates"]:
            if not glob.glob(pattern):
                yield f"{pattern} matches no file"


def check_mail_settings(stack):
    """settings of .env reach Alertmanager, and only the catcher gets no TLS"""
    settings = {
        "SMTP_SMARTHOST": "smtp.example.com:587",
        "SMTP_USERNAME": "someone@example.com",
        "SMTP_FROM": "Some One <someone@example.com>",
        "ALERT_MAIL_TO": "a@example.com, b@example.com",
    }
    with tempfile.TemporaryDirectory() as where:
        where = pathlib.Path(where)
        for source in ("alerts/alertmanager.yml", "alerts/demo.sed"):
            stack.mounted(source, where)
        shutil.copy(stack.root / "deploy/alertmanager/start.sh", where)
        (where / "tmp").mkdir()
        (where / "alertmanager").write_text("#!/bin/sh\n")
        (where / "alertmanager").chmod(0o755)
        environment = {"PATH": f"{where}:/usr/bin:/bin", "TMPDIR": str(where / "tmp")}

        def started(more):
            wrong = list(stack.run("sh", where / "start.sh", env={**environment, **more}))
            config = where / "tmp/alertmanager.yml"
            return wrong, yaml.safe_load(config.read_text()) if not wrong else None

        wrong, config = started(settings)
        yield from wrong
        if config:
            options = config["global"]
            found = {
                "SMTP_SMARTHOST": options["smtp_smarthost"],
                "SMTP_USERNAME": options["smtp_auth_username"],
                "SMTP_FROM": options["smtp_from"],
            }
            mailboxes = {mail["to"] for receiver in config["receivers"]
                         for mail in receiver.get("email_configs", [])}
            found["ALERT_MAIL_TO"] = ", ".join(mailboxes) if len(mailboxes) == 1 else mailboxes
            yield from (f"{name} is {found[name]}" for name, value in settings.items()
                        if found[name] != value)
            if options["smtp_require_tls"] is not True:
                yield "mail leaves without TLS"
        empty = dict.fromkeys(settings, "")
        wrong, config = started({**empty, "SMTP_SMARTHOST": "mail:1025"})
        yield from wrong
        if config and config["global"]["smtp_require_tls"] is not False:
            yield "the catcher, which has no TLS, gets no mail"


def checks():
    return {name: check for name, check in globals().items()
            if name.startswith("check_")}


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    stack = Stack(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for check in checks().values():
        try:
            wrong = list(check(stack))
            verdict = "FAIL" if wrong else "ok"
        except Skip as reason:
            verdict, wrong = "skip", [str(reason)]
        counts[verdict] += 1
        print(f"{verdict:4}", check.__doc__)
        for line in wrong:
            print("      ", line)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    sys.exit(counts["FAIL"] > 0)


if __name__ == "__main__":
    main()
