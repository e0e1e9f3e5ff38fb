"""Markdown from the code: tables, the fields of structs, the members of classes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from qchive import sentences


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: Any) -> str:
    """A value as code, nothing for None."""
    return "" if value is None or value == "" else f"`{value}`"


def oneline(text: str | None) -> str:
    """Text without line breaks, references to notes of the source left out."""
    return re.sub(r"\s+", " ", re.sub(r"\s*\(`[\w-]+\.md`[^)]*\)", "", text or "")).strip()


def fields(struct: type[msgspec.Struct]) -> str:
    """A table of a struct's fields: name, type, default, meaning."""
    said = sentences.of(struct)
    rows = (
        (code(f.encode_name), _type(f.type), _default(f), oneline(said.get(f.name)))
        for f in msgspec.structs.fields(struct)
    )
    return table(("name", "type", "default", "meaning"), rows)


def _type(kind: Any) -> str:
    """A type in words a person knows."""
    schema = msgspec.json.schema(kind)
    return _words(schema, schema.get("$defs", {}))


def _words(schema: dict[str, Any], known: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _words(known[name], known) if "enum" in known[name] else name
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_words(one, known) for one in schema["anyOf"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return "list of " + ", ".join(_words(one, known) for one in schema["prefixItems"])
        return f"list of {_words(schema['items'], known)}"
    names = {
        "integer": "int",
        "number": "float",
        "boolean": "bool",
        "string": "text",
        "object": "mapping",
        "null": "none",
    }
    return names.get(str(schema.get("type")), "any") + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {schema[key]}" for key, sign in signs.items() if key in schema)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return code(repr(field.default_factory()))
    if field.default is msgspec.NODEFAULT:
        return "required"
    if isinstance(field.default, msgspec.Struct):
        return "see below"
    return "" if field.default is None else code(getattr(field.default, "value", field.default))


def members(cls: type, wanted: Callable[[str], bool] = lambda name: not name.startswith("_")) -> str:
    """Attributes as a table, methods each with its signature."""
    attributes, methods = [], []
    for name in sorted(dir(cls)):
        member = inspect.getattr_static(cls, name, None)
        said = inspect.getdoc(member)
        function = getattr(member, "__func__", member)
        if not wanted(name) or name in vars(object) or not said:
            continue
        if inspect.isfunction(function):
            methods += [f"### {name}", f"```text\n{name}{_signature(function)}\n```", _paragraphs(said)]
        elif isinstance(member, property) or hasattr(member, "func"):
            attributes.append((code(name), oneline(said)))
    return "\n\n".join([*([table(("attribute", ""), attributes)] if attributes else []), *methods])


def _paragraphs(said: str) -> str:
    """A docstring as Markdown: what it raises becomes a list."""
    text, _, raises = said.partition("\nRaises:\n")
    if not raises:
        return said
    lines = re.sub(r"\n {5,}", " ", raises).splitlines()
    return f"{text}\nRaises:\n\n" + "\n".join(
        f"* `{name.strip()}`: {why.strip()}" for name, _, why in (line.partition(":") for line in lines)
    )


def _signature(function: Any) -> str:
    """As it stands in the source, on one line or one line for each parameter."""
    shown, keyword_only = [], False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
        keyword_only = parameter.kind is parameter.KEYWORD_ONLY
        if name not in ("self", "cls"):
            shown.append(_given(parameter))
    answer = inspect.signature(function).return_annotation
    text = f"({', '.join(shown)}) -> {answer}"
    return text if len(text) < 90 else "(\n" + "".join(f"    {part},\n" for part in shown) + f") -> {answer}"


def _given(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}: {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {getattr(parameter.default, 'name', repr(parameter.default))!s}"
