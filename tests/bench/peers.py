# SPDX-License-Identifier: MIT
"""postgres_exporter as Debian builds it: its 12th release's, and the newest.

Neither is installed: their packages are unpacked in a folder of /tmp, where
they are kept. The programs need nothing but a C library.
"""

import hashlib
import lzma
import os
import pathlib
import subprocess
import urllib.request

MIRROR = "https://deb.debian.org/debian"
PACKAGE = "prometheus-postgres-exporter"
KEPT = pathlib.Path(f"/tmp/meshhook-peers-{os.geteuid()}")
# The old one has no collectors of tables; its own example makes up for that.
OLD_QUERIES = ("pg_replication", "pg_postmaster", "pg_stat_user_tables",
               "pg_statio_user_tables")


def download(path):
    with urllib.request.urlopen(f"{MIRROR}/{path}", timeout=120) as response:
        return response.read()


def newest(suites):
    """The package's paragraph in the index of the suite that has the latest."""
    best = {}
    for suite in suites:
        index = lzma.decompress(download(
            f"dists/{suite}/main/binary-amd64/Packages.xz")).decode()
        start = f"\n\n{index}".find(f"\n\nPackage: {PACKAGE}\n")
        if start < 0:
            continue
        found = dict(line.split(": ", 1) for line in
                     index[start:].split("\n\n")[0].splitlines()
                     if ": " in line and not line.startswith(" "))
        if not best or subprocess.run(
                ["dpkg", "--compare-versions", found["Version"], "gt",
                 best["Version"]], check=False).returncode == 0:
            best = found
    return best


def unpacked(suites):
    """The folder of the package's files, got first if need be."""
    KEPT.mkdir(mode=0o700, exist_ok=True)
    if KEPT.stat().st_uid != os.geteuid():
        raise SystemExit(f"{KEPT} belongs to someone else")
    mark = KEPT / "-".join(suites)
    if not mark.exists():
        print(f"getting {PACKAGE} of {' or '.join(suites)}", flush=True)
        package = newest(suites)
        content = download(package["Filename"])
        if hashlib.sha256(content).hexdigest() != package["SHA256"]:
            raise SystemExit(f"{package['Filename']} is not what was announced")
        folder = KEPT / package["Version"]
        archive = KEPT / "package.deb"
        archive.write_bytes(content)
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        archive.unlink()
        mark.symlink_to(folder)
    return mark.resolve()


def version(folder):
    return folder.name.split("-")[0]


def command(folder):
    """How to start it with its defaults, and with tables for the old one."""
    program = [str(folder / f"usr/bin/{PACKAGE}")]
    if "--collector.stat_user_tables" in subprocess.run(
            [*program, "--help"], check=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout:
        return program
    text = (folder / f"usr/share/doc/{PACKAGE}/examples/queries.yaml"
            ).read_text()
    blocks = dict(block.split(":", 1) for block in
                  text.split("\n\n") if not block.startswith((" ", "\n")))
    queries = folder / "queries.yaml"
    queries.write_text("\n".join(f"{name}:{blocks[name]}\n"
                                 for name in OLD_QUERIES))
    return [*program, f"--extend.query-path={queries}"]


def both():
    """Command and version of each, the old one first."""
    folders = [unpacked(["bookworm"]), unpacked(["unstable", "experimental"])]
    return [(command(folder), version(folder)) for folder in folders]
