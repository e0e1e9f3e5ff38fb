"""Copy other people's files for the web pages from npm packages of exact versions: `python tools/vendor_web.py`.

The files are checked in, so that an installation needs neither npm nor a network; nothing is built. VENDORED.toml
beside them says where each file came from and what it must hash to; a test compares. To change a version, change
PACKAGES, run this, look at the page.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parent.parent / "src" / "qchive" / "server" / "web"


class Package(NamedTuple):
    """An npm package: its exact version, and which of its files are kept under which name."""

    name: str
    version: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "swagger-ui-dist",
        "5.35.0",
        {
            "swagger-ui-bundle.js": "swagger-ui-bundle.js",
            "swagger-ui.css": "swagger-ui.css",
            "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
            "LICENSE": "swagger-ui.LICENSE.txt",
            "NOTICE": "swagger-ui.NOTICE.txt",
        },
    ),
)

HEAD = """\
# Files of other projects in this folder, exactly as published. Written by tools/vendor_web.py; a test checks hashes.
"""


def fetch(package: Package, folder: Path) -> dict[str, bytes]:
    """The wanted files of a package by their names here, and its package.json."""
    argv = ["npm", "pack", "--silent", f"{package.name}@{package.version}", "--pack-destination", str(folder)]
    subprocess.run(argv, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    found = {}
    with tarfile.open(archive) as tar:
        for source, name in {**package.files, "package.json": "package.json"}.items():
            member = tar.extractfile(f"package/{source}")
            assert member is not None, f"{package.name} has no file {source}"
            found[name] = member.read()
    return found


def entry(package: Package, found: dict[str, bytes]) -> str:
    """The package's part of VENDORED.toml."""
    about = json.loads(found["package.json"])
    assert about["version"] == package.version, f"asked for {package.version}, got {about['version']}"
    lines = [
        "\n[[package]]",
        f'name = "{package.name}"',
        f'version = "{package.version}"',
        f'license = "{about["license"]}"',
        "\n[package.sha256]",
        *(f'"{name}" = "{hashlib.sha256(found[name]).hexdigest()}"' for name in package.files.values()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the files and VENDORED.toml."""
    text = HEAD
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            found = fetch(package, Path(folder))
        for name in package.files.values():
            (TARGET / name).write_bytes(found[name])
        text += entry(package, found)
    (TARGET / "VENDORED.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
