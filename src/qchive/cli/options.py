"""Options that several commands share, each declared once: a command takes them as one struct."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, get_type_hints

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Some options: a subclass has a field for each, annotated as a parameter of a command would be."""


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command as it is typed: with the options themselves in the place of the structs that hold them."""
    signature = inspect.signature(command, eval_str=True)
    structs = {p.name: p.annotation for p in signature.parameters.values() if _is_options(p.annotation)}

    @wraps(command)
    def run(**given: Any) -> None:
        for name, struct in structs.items():
            given[name] = struct(**{field: given.pop(field) for field in struct.__struct_fields__})
        command(**given)

    parameters = [
        q for p in signature.parameters.values() for q in (_fields(structs[p.name]) if p.name in structs else (p,))
    ]
    run.__signature__ = signature.replace(parameters=[p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _is_options(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


@cache
def _fields(struct: type[Options]) -> tuple[inspect.Parameter, ...]:
    hints = get_type_hints(struct, include_extras=True)
    defaults = {
        f.name: inspect.Parameter.empty if f.default is msgspec.NODEFAULT else f.default
        for f in msgspec.structs.fields(struct)
    }
    return tuple(
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name])
        for name in struct.__struct_fields__
    )
