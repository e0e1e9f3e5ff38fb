"""Where settings come from: flags, environment, file, defaults, in this order. What can be set is in `settings`."""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from qchive.errors import BadConfiguration
from qchive.server import quantities
from qchive.server.settings import Settings

PREFIX = "QCHIVE_"
FILE = "QCHIVE_CONFIG"
"""Names the file where no flag does."""
DEFAULT = "default"

_OTHERS = frozenset({"address", "username", "password", "api_token", "verify", "cache_dir", "worker_token", "config"})
"""Variables with our prefix that are not about the server."""
_UNITS = {"seconds": quantities.seconds, "bytes": quantities.size}

Given = tuple[tuple[str, ...], Any, str]
"""Where in the settings, what, and who says so."""


class Configuration(NamedTuple):
    """Settings, and who says so: by dotted name, for all that is not the default."""

    settings: Settings
    origins: Mapping[str, str]

    def lines(self) -> Iterator[tuple[str, Any, str]]:
        """Every setting by its dotted name, its value, and where that is from."""
        yield from _lines(self.settings, "", self.origins)


def load(
    file: Path | None = None,
    flags: Mapping[str, tuple[Any, str]] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Configuration:
    """All sources put together. `flags`: by dotted name, what was typed and as which flag.

    Raises:
        BadConfiguration: a source names a setting that does not exist, or gives a value that it cannot have.
    """
    path = file or (Path(environ[FILE]) if environ.get(FILE) else None)
    given = [*(_of_file(path) if path else ()), *_of_environment(environ)]
    given += [(tuple(name.split(".")), value, flag) for name, (value, flag) in (flags or {}).items()]
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for where, value, origin in given:
        for leaf, plain in _read(Settings, where, value, origin):
            _put(merged, leaf, plain)
            origins[".".join(leaf)] = origin
    try:
        return Configuration(msgspec.convert(merged, Settings), origins)
    except msgspec.ValidationError as error:  # of names in mappings that may not be just any
        raise BadConfiguration(f"The settings do not fit together: {error}") from None


def _of_file(path: Path) -> Iterator[Given]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfiguration(f"The configuration {path} cannot be read: {error}") from None
    if not isinstance(content or {}, dict):
        raise BadConfiguration(f"The configuration {path} is to be a mapping: lines like `name: our archive`")
    return (((str(name),), value, f"file {path}") for name, value in (content or {}).items())


def _of_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    known = [field.name for field in msgspec.structs.fields(Settings)]
    for variable in sorted(environ):
        name = variable.upper().removeprefix(PREFIX).lower()
        if not variable.upper().startswith(PREFIX) or name in _OTHERS:
            continue
        where = tuple(name.split("__"))
        # A variable that is like none of the settings belongs to somebody else.
        if where[0] in known or difflib.get_close_matches(where[0], known):
            yield where, environ[variable], f"environment {variable}"


def _read(kind: Any, where: tuple[str, ...], value: Any, origin: str, at: tuple[str, ...] = ()) -> Iterator[Any]:
    """The single values in what a source gives for a place below `at`, whose type is `kind`, each with its place."""
    inner = _bare(kind)
    if where:
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            below = _field(inner, where[0], at, origin)
        elif get_origin(inner) is dict:
            below = get_args(inner)[1]
        else:
            raise BadConfiguration(f"{origin}: {'.'.join(at)} has no parts, so there is no {'.'.join((*at, *where))}")
        yield from _read(below, where[1:], value, origin, (*at, where[0]))
    elif get_origin(inner) is dict or (isinstance(inner, type) and issubclass(inner, msgspec.Struct)):
        for name, one in _mapping(value, at, origin).items():
            yield from _read(kind, (str(name),), one, origin, at)
    else:
        yield at, _value(kind, value, at, origin)


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _field(struct: type[msgspec.Struct], name: str, at: tuple[str, ...], origin: str) -> Any:
    types_ = {field.name: field.type for field in msgspec.structs.fields(struct)}
    if name in types_:
        return types_[name]
    full = ".".join((*at, name))
    near = difflib.get_close_matches(name, types_, 1, 0.3) or sorted(types_)[:1]
    raise BadConfiguration(
        f"{origin}: there is no setting {full}. Is {'.'.join((*at, near[0]))} meant? "
        "`qchive config show` lists all of them."
    )


def _mapping(value: Any, at: tuple[str, ...], origin: str) -> Mapping[Any, Any]:
    value = _decoded(value, at, origin)
    if not isinstance(value, dict):
        raise BadConfiguration(f"{origin}: {'.'.join(at)} is to be a mapping, in a variable or flag as JSON")
    return value


def _decoded(value: Any, at: tuple[str, ...], origin: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise BadConfiguration(f"{origin}: {'.'.join(at)} is to be given as JSON: {error}") from None


def _value(kind: Any, value: Any, at: tuple[str, ...], origin: str) -> Any:
    if get_origin(_bare(kind)) is list:
        value = _decoded(value, at, origin)
    elif isinstance(value, str) and (unit := _unit(kind)) and not value.replace(".", "", 1).isdigit():
        value = _in_units(value, unit, at, origin)
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadConfiguration(f"{origin}: {'.'.join(at)}: {error}") from None


def _in_units(text: str, unit: str, at: tuple[str, ...], origin: str) -> int | str:
    if text == "null":
        return text
    try:
        return _UNITS[unit](text)
    except ValueError as error:
        raise BadConfiguration(f"{origin}: {'.'.join(at)}: {error}") from None


def _unit(kind: Any) -> str | None:
    """What the numbers of a type count, if it says so."""
    for part in (kind, *(get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ())):
        for meta in getattr(part, "__metadata__", ()):
            if meta.extra:
                return str(meta.extra["unit"])
    return None


def _put(tree: dict[str, Any], where: tuple[str, ...], value: Any) -> None:
    for name in where[:-1]:
        tree = tree.setdefault(name, {})
    tree[where[-1]] = value


def _lines(value: Any, at: str, origins: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    if isinstance(value, msgspec.Struct):
        parts = {field.name: getattr(value, field.name) for field in msgspec.structs.fields(type(value))}
    elif isinstance(value, dict) and value:
        parts = {str(name): one for name, one in value.items()}
    else:
        yield at, value, origins.get(at, DEFAULT)
        return
    for name, one in parts.items():
        yield from _lines(one, f"{at}.{name}" if at else name, origins)
