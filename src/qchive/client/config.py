"""Where to connect to and as whom, from a file or the environment."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from typing import Any

FILES = ("qchive_config.yaml", "qcportal_config.yaml")
"""Names of the file; the second is that of other clients of this protocol."""

PREFIXES = ("QCHIVE_", "QCPORTAL_")
"""Variables start with the first of these that has an address; so no password goes to another server than it is for."""

_SECRETS = {"password", "api_token"}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def from_file(server_name: str | None = None, config_path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The client's arguments from a YAML file, or from its section `server_name`.

    `config_path` is the file or its folder; without it the current folder and then the user's configuration folders
    are searched. Warns of passwords that others could read.

    Raises:
        FileNotFoundError: there is no such file.
        RuntimeError: the file has no such section.
        KeyError: nothing says which address to connect to.
    """
    import yaml

    path = _found([Path(config_path)] if config_path is not None else _folders())
    content = yaml.safe_load(path.read_text()) or {}
    if server_name is not None:
        if server_name not in content:
            raise RuntimeError(f"{path} has no section {server_name!r}, only {', '.join(map(str, content))}")
        content = content[server_name]
    if not isinstance(content, dict) or "address" not in content:
        raise KeyError(f"{path} has no `address`" + ("" if server_name else ": if it has sections, name one"))
    if _SECRETS & set(content) and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        warnings.warn(f"{path} holds a secret that others can read: chmod 600 {path}", UserWarning, stacklevel=3)
    return content


def from_env() -> dict[str, Any]:
    """The client's arguments from `QCHIVE_ADDRESS`, `_USERNAME`, `_PASSWORD`, `_API_TOKEN`, `_VERIFY`, `_CACHE_DIR`.

    Raises:
        KeyError: no address is set.
    """
    prefix = next((p for p in PREFIXES if p + "ADDRESS" in os.environ), None)
    if prefix is None:
        raise KeyError(f"{PREFIXES[0]}ADDRESS is not set: give it the address of a server")
    names = ("address", "username", "password", "api_token", "verify", "cache_dir")
    given: dict[str, Any] = {n: os.environ[prefix + n.upper()] for n in names if os.environ.get(prefix + n.upper())}
    if "verify" in given:
        given["verify"] = _WORDS.get(given["verify"].lower(), given["verify"])
    return given


def _folders() -> list[Path]:
    import platformdirs

    return [Path.cwd(), platformdirs.user_config_path("qchive"), Path.home() / ".qca"]


def _found(places: list[Path]) -> Path:
    candidates = [
        path for place in places for path in ([place / name for name in FILES] if place.is_dir() else [place])
    ]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"no {' or '.join(FILES)} in {', '.join(map(str, places))}")
    return path
