"""Reading requests: bounded bodies, both encodings, uploaded files, URL parameters (`transport.md` §4, §5)."""

from __future__ import annotations

from email.message import Message
from functools import lru_cache
from typing import Any, get_args
from urllib.parse import parse_qsl

import msgspec
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import Request

from qchive import wire
from qchive.api.endpoint import Endpoint
from qchive.errors import InvalidBody, NotFound, TooLarge

FORM = "application/x-www-form-urlencoded"
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"ascii")

Files = list[tuple[str, bytes]]


def content_type(header: str | None) -> str:
    """The media type of a Content-Type header, without parameters such as a charset."""
    if not header:
        raise InvalidBody(f"No Content-Type specified: send {wire.JSON} or {wire.MSGPACK}")
    return header.split(";")[0].strip().lower()


@lru_cache(maxsize=64)
def accepted(header: str | None) -> str:
    """The encoding of the answer: the best match for Accept among those we speak, JSON if none."""
    best, quality = wire.JSON, 0.0
    for part in (header or "").split(","):
        message = Message()
        message["content-type"] = part.strip() or "x/x"
        kind = message.get_content_type()
        try:
            q = float(str(message.get_param("q", "1")))
        except ValueError:
            q = 0.0
        if kind in wire.CONTENT_TYPES and q > quality:
            best, quality = kind, q
    return best


async def read_body(request: Request, endpoint: Endpoint, limit: int) -> Any:
    """The decoded body of a request."""
    kind = content_type(request.headers.get("content-type"))
    raw = await _read(request, limit)
    request.scope["qchive.seen"].read(raw)
    if not raw:
        raise InvalidBody("Expected body, but it is empty")
    if endpoint.form and kind == FORM:
        return wire.convert(dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)), endpoint.body)
    return wire.decode(raw, endpoint.body, kind)


async def _read(request: Request, limit: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"The body has {length} bytes, this server reads at most {limit}: send less at a time")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"The body has more than {limit} bytes: send less at a time", limit=limit)
        parts.append(part)
    return b"".join(parts)


async def read_upload(request: Request, endpoint: Endpoint, limit: int) -> tuple[Any, Files]:
    """The structured part and the files of a multipart request."""
    header = request.headers.get("content-type")
    if content_type(header) != "multipart/form-data":
        raise InvalidBody("Send files as multipart/form-data: parts named `files`, and one named `body_data`")
    charset = parse_options_header(header)[1].get(b"charset", b"utf-8")
    if charset.lower() not in _CHARSETS:
        # Python knows charsets that make text of it which cannot be written again, or none at all.
        raise InvalidBody("Send the parts of an upload in UTF-8, and leave `charset` out")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > limit:
        raise TooLarge(f"An upload states its length, and has at most {limit} bytes", limit=limit)
    async with request.form(max_files=1000, max_fields=10) as form:
        part = form.get("body_data")
        if isinstance(part, UploadFile):
            raw, kind = await part.read(), content_type(part.content_type)
        elif part is not None:
            raw, kind = str(part).encode(), wire.JSON
        else:
            raise InvalidBody("The part `body_data` is missing")
        body = wire.decode(raw, endpoint.body, kind)
        files = []
        for part in form.getlist("files"):
            if not isinstance(part, UploadFile):
                raise InvalidBody("A part `files` has no file name")
            files.append((part.filename or "", await part.read()))
    return body, files


def read_path(request: Request) -> dict[str, Any]:
    """The parts of the address that vary.

    Raises:
        NotFound: an id or a name that no database could hold, so nothing has it.
    """
    for name, value in request.path_params.items():
        if (isinstance(value, int) and value >= 2**63) or (isinstance(value, str) and "\0" in value):
            raise NotFound(f"There is nothing with {name} {value!r}")
    return request.path_params


def read_query(request: Request, kind: type[msgspec.Struct]) -> Any:
    """URL parameters as a struct. A repeated key gives a list; for single values the last one counts."""
    lists = {f.encode_name for f in msgspec.structs.fields(kind) if _is_list(f.type)}
    given: dict[str, Any] = {}
    for key in request.query_params:
        values = request.query_params.getlist(key)
        given[key] = values if key in lists else values[-1]
    return wire.convert(given, kind, strict=False)


def _is_list(kind: Any) -> bool:
    return any(getattr(k, "__origin__", k) is list for k in (kind, *get_args(kind)))
