"""Requests made from the schemas of an OpenAPI document: mostly such as fit, a few that do not quite."""

from __future__ import annotations

import base64
import re
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

HOSTILE = [
    "",
    "\0",
    "a\0b",
    "\r\nSet-Cookie: a=b",
    "a\nb",
    "'; DROP TABLE record; --",
    "' OR '1'='1",
    "%s %(id)b {0} %",
    "$1::int",
    "../../../etc/passwd",
    "\\",
    "\\u0000",
    '"',
    "{}",
    "NaN",
    "*",
    "☃",
    "\U0010ffff",
    "\x1b[2J",
    "x" * 5000,
    "9" * 30,
    "1e999",
    "He",
    "waiting",
    "singlepoint",
    "psi4",
    "read",
    "admin_user",
]
TEXT = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, 10**30])
INTEGERS = st.integers(1, 3) | st.integers(1, 6) | st.integers(-1, 4) | NUMBERS
FLOATS = st.floats() | st.sampled_from([0.0, 1.0, -0.0, 1e308, -1e308, 5e-324])
MOMENTS = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "0001-01-01T00:00:00",
        "2026-02-30T00:00:00Z",
        "infinity",
        "now",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MOLECULE = st.builds(
    lambda n, more: {"symbols": ["He"] * n, "geometry": [1.0 * i for i in range(3 * n)]} | more,
    st.integers(0, 3),
    st.dictionaries(
        st.sampled_from(
            ["molecular_charge", "connectivity", "masses", "fragments", "extras", "name", "identifiers", "validated"]
        ),
        ANYTHING,
        max_size=2,
    ),
)


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    """Of the OpenAPI document, which has the schema of the answer."""
    parts: dict[str, Any]
    query: list[tuple[str, Any]]
    body: Any = ...


class Schemas:
    """Makes values from the schemas of a document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._made: dict[str, st.SearchStrategy[Any]] = {}

    def requests(self, method: str, path: str) -> st.SearchStrategy[Asked]:
        """Requests of one operation."""
        operation = self._document["paths"][path][method]
        parts, query = {}, {}
        for one in operation["parameters"]:
            whole = one["schema"].get("type") == "integer"
            values = INTEGERS if whole else TEXT.filter(bool)
            if one["in"] == "path":
                parts[one["name"]] = values
            else:
                query[one["name"]] = st.lists(TEXT | INTEGERS.map(str), max_size=2)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return st.builds(
            Asked,
            st.just(method.upper()),
            st.just(path),
            st.fixed_dictionaries(parts),
            st.fixed_dictionaries({}, optional=query).map(lambda q: [(k, v) for k, vs in q.items() for v in vs]),
            st.just(...) if content is None else self.values(content["schema"]),
        )

    def values(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        """Values that fit a schema, mostly."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in self._made:
                self._made[name] = st.deferred(lambda: self.values(self._document["components"]["schemas"][name]))
            return self._made[name]
        if "anyOf" in schema:
            return st.one_of([self.values(one) for one in schema["anyOf"]])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        return self._of_type(schema)

    def _of_type(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        match schema.get("type"):
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer":
                return INTEGERS
            case "number":
                return FLOATS
            case "string":
                return self._text(schema)
            case "array":
                return self._array(schema)
            case "object":
                return self._object(schema)
        return ANYTHING

    def _text(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if schema.get("format") == "date-time":
            return MOMENTS
        if schema.get("contentEncoding") == "base64":
            return st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())
        # What a pattern or a length forbids is sent as well, but not so often that nothing else gets through.
        allowed = re.compile(schema.get("pattern", ""))
        longest = schema.get("maxLength", 10_000)
        return TEXT.filter(lambda text: len(text) <= longest and allowed.search(text) is not None) | TEXT

    def _array(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if "prefixItems" in schema:
            return st.tuples(*(self.values(one) for one in schema["prefixItems"])).map(list)
        return st.lists(self.values(schema.get("items") or {}), max_size=3)

    def _object(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if "properties" not in schema:
            inner = schema.get("additionalProperties")
            keys = INTEGERS.map(str) if schema.get("propertyNames", {}).get("type") == "integer" else TEXT
            free = st.dictionaries(keys, self.values(inner if isinstance(inner, dict) else {}), max_size=3)
            return free if isinstance(inner, dict) and inner else free | MOLECULE
        needed = set(schema.get("required", ()))
        fields = {name: self.values(one) for name, one in schema["properties"].items()}
        return st.fixed_dictionaries(
            {name: one for name, one in fields.items() if name in needed},
            optional={name: one for name, one in fields.items() if name not in needed},
        ).flatmap(lambda made: _fewer(made, needed))


def _fewer(made: dict[str, Any], needed: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """At most three of what may be left out: all of twenty filters at once never fit anything."""
    free = [name for name in made if name not in needed]
    if len(free) <= 3:
        return st.just(made)
    kept = st.lists(st.sampled_from(free), max_size=3).map(lambda names: needed | set(names))
    return kept.map(lambda names: {name: value for name, value in made.items() if name in names})


def as_json(value: Any) -> bytes:
    """JSON in which NaN, which it lacks, is null."""
    return msgspec.json.encode(value)


def as_msgpack(value: Any) -> bytes:
    """MessagePack in which whole numbers beyond its 64 bits are floats."""
    return msgspec.msgpack.encode(_narrow(value))


def _narrow(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrow(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_narrow(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    return value
