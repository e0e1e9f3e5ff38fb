"""The OpenAPI 3.1 document, from the same rows that make the routes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from qchive._version import __version__
from qchive.api.endpoint import Endpoint
from qchive.api.managers import ALWAYS, Manager
from qchive.server.visit import COOKIE
from qchive.wire import JSON, MSGPACK, Bytes, Json

_REF = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "required": ["msg"],
    "properties": {"msg": {"type": "string"}, "code": {"type": "string"}},
}


_LOGINS = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, or the access token of a login."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of a browser that has logged in."},
}


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Bytes:
        return {
            "type": "object",
            "properties": {"_bytes_base64_": {"type": "string", "contentEncoding": "base64"}},
            "required": ["_bytes_base64_"],
        }
    if kind is Json:
        return {"description": "Any JSON value."}  # an empty schema counts as none
    raise NotImplementedError(kind.__name__)


def document(rows: tuple[Endpoint, ...], title: str, *, logins: bool = True) -> dict[str, Any]:
    """The whole document; without `logins`, that of a server where nobody logs in."""
    kinds = _types(rows)
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=_schema_of, ref_template=_REF)
    # Whoever asks may leave the rest out; other answers of which one may choose parts say so by their types.
    components.get(Manager.__name__, {})["required"] = list(ALWAYS)
    by_type = dict(zip(map(id, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = re.sub(r"\{(\w+)(:\w+)?\}", r"{\1}", row.path)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, by_type, logins)
    components = {"schemas": {**components, "Error": _ERROR}, **({"securitySchemes": _LOGINS} if logins else {})}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "description": "The QCArchive REST protocol, version 1."},
        "paths": paths,
        "components": components,
    }


def _types(rows: tuple[Endpoint, ...]) -> list[Any]:
    return [kind for row in rows for kind in (row.body, row.answer, row.query) if kind is not None]


def _operation(row: Endpoint, schemas: dict[int, dict[str, Any]], logins: bool) -> dict[str, Any]:
    kind = f"_{row.kind.name}" if row.kind else ""
    kind += f"_{row.role}" if row.role else ""
    operation: dict[str, Any] = {
        "operationId": re.sub(
            r"\W", "_", f"{row.name}{kind}" + ("_compute" if row.path.startswith("/compute") else "")
        ),
        "summary": row.doc,
        "tags": [row.kind.name if row.kind else row.name.split(".")[0]],
        "parameters": _parameters(row),
        "responses": {
            "200": {"description": "Done.", "content": _content(_schema(row.answer, schemas))},
            "default": {
                "description": "Refused or failed; the message says what to do.",
                "content": {JSON: {"schema": {"$ref": _REF.format(name="Error")}}},
            },
        },
    }
    if row.may:
        operation["description"] = f"Needs the permission `{row.may}`."
        if logins:
            operation["security"] = [{}, *({name: []} for name in _LOGINS)]
    if row.body is not None:
        operation["requestBody"] = {"required": True, "content": _request(row, _schema(row.body, schemas))}
    return operation


def _schema(kind: Any, schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return {"type": "null"} if kind is None else schemas[id(kind)]


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": schema}, MSGPACK: {"schema": schema}}


def _request(row: Endpoint, schema: dict[str, Any]) -> dict[str, Any]:
    if not row.upload:
        content = _content(schema)
        if row.example is not None:
            content[JSON]["example"] = row.example
        return content
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"body_data": schema, "files": files}, "required": ["body_data"]}
        }
    }


def _parameters(row: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if converter == ":int" else "string"},
        }
        for name, converter in re.findall(r"\{(\w+)(:\w+)?\}", row.path)
    ]
    if row.query is not None:
        for field in msgspec.structs.fields(row.query):
            (schema,), _ = msgspec.json.schema_components([field.type], schema_hook=_schema_of, ref_template=_REF)
            found.append({"name": field.encode_name, "in": "query", "required": False, "schema": schema})
    return found


def route_list(rows: tuple[Endpoint, ...]) -> dict[str, Any]:
    """Address → method → name and permission."""
    found: dict[str, Any] = {}
    for row in rows:
        resource, _, action = (row.may or ":").partition(":")
        entry = {"endpoint": row.name, "method": row.method, "resource": resource or None, "action": action or None}
        found.setdefault(row.path, {})[row.method] = entry
    return found
