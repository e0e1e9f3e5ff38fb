"""Requests written down once, sent to any server of the protocol, and its answers in a form that can be compared.

An exchange is a request and what was answered, as plain data:

    name            what it shows
    method, path    `<record water>` stands for an id that an earlier answer gave
    body            sent in the encoding under test; `text` instead of it is sent as it is, `files` as multipart
    headers         beside or instead of Content-Type and Accept; null: do not send this one
    ids             which parts of the answer are ids, and of what: path pattern → space
    names           how ids that appear for the first time are called: space → names, in the order of the answer
    masks           patterns of parts of which only the type is kept
    status, type, answer      what was answered, the first two only if not as usual; `msgpack` holds what differs when
                    MessagePack was spoken

In bodies `{"$packed": value}` is zstd(msgpack(value)), `{"$bytes": base64}` raw bytes, `{"$repeat": [value, n]}` a
list, `{"$text": value}` the value as text. In answers an id is `<space name>`, a time `<time ZONE>`, a compressed part
`{"$packed": value}`; of the texts of errors only the type is kept.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import httpx
import zstandard
from msgspec import json, msgpack

JSON = "application/json"
MSGPACK = "application/msgpack"


def usual(status: int) -> dict[str, Any]:
    """What is not written down: success, and the type of answers."""
    return {"status": 200, "type": "as asked for" if status == 200 else JSON}


IDS = {
    "*compute_history.*.id": "attempt",
    "*comments.*.id": "comment",
    "*molecule.id": "molecule",
    "*molecules.*.id": "molecule",
    "*record_id": "record",
    "*molecule_id": "molecule",
    "*trajectory_ids.*": "record",
    "*accepted_ids.*": "task",
    "*rejected_info.*.0": "task",
    "*input_data.$packed.id": "record",
    "*input_data.id": "record",
}
"""Parts that are ids wherever they stand."""

MASKS = (
    "msg",
    "*error_description",
    "*errors.*.1",
    "*rejected_info.*.1",
    "*task.id",
    "*molecule.provenance.version",
)
"""Parts of which only the type counts: texts for people, versions, and task ids, which are anybody's choice."""

_SYMBOL = re.compile(r"<([a-z]+) ([^<>]+)>")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


class Ids:
    """Ids of one server, by the names that stand for them."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._symbols: dict[tuple[str, int], str] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._names: dict[str, list[str]] = {}
        self._named: set[int] = set()

    def expect(self, names: dict[str, list[str]]) -> None:
        """The names for ids that the next answer shows for the first time. Tasks are named anew at each claim: whether
        they keep their id is the server's choice."""
        self._names = {space: list(given) for space, given in names.items()}
        self._named.clear()

    def symbol(self, space: str, value: int) -> str:
        """The name of an id."""
        names = self._names.get(space)
        known = self._symbols.get((space, value))
        if known and not (names and space == "task" and value not in self._named):
            return known
        self._counts[space] += 1
        symbol = f"<{space} {names.pop(0) if names else f'#{self._counts[space]}'}>"
        self._values[symbol] = value
        self._symbols[space, value] = symbol
        self._named.add(value)
        return symbol

    def value(self, symbol: str) -> int:
        """The id that a name stands for."""
        return self._values[symbol]

    def within(self, text: str) -> str:
        """Text with ids in place of their names."""
        return _SYMBOL.sub(lambda found: str(self.value(found.group())), text)


class Session:
    """One server, spoken to in one encoding from one exchange to the next."""

    def __init__(self, client: httpx.Client, encoding: str) -> None:
        self._client = client
        self._encoding = encoding
        self._ids = Ids()

    def send(self, exchange: dict[str, Any]) -> dict[str, Any]:
        """What the server answers: status, type and answer."""
        headers = {"Content-Type": self._encoding, "Accept": self._encoding} | exchange.get("headers", {})
        request = self._client.build_request(
            exchange["method"],
            f"{self._client.base_url!s}".rstrip("/") + self._ids.within(exchange["path"]),
            **self._content(exchange, headers),
        )
        for name in ("Accept", "Content-Type"):
            if name in request.headers and headers.get(name, "") is None:
                del request.headers[name]
        answer = self._client.send(request)
        kind = answer.headers.get("content-type", "")
        asked = answer.status_code == 200 and kind == headers["Accept"] == self._encoding
        self._ids.expect(exchange.get("names", {}))
        return {
            "status": answer.status_code,
            "type": "as asked for" if asked else kind,
            "answer": self._seen(answer.content, kind, exchange),
        }

    def _content(self, exchange: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in headers.items() if value is not None}
        if "files" in exchange:
            del given["Content-Type"]
            body = self._encoded(exchange["body"])
            parts = [("files", (name, text.encode())) for name, text in exchange["files"].items()]
            return {"files": [*parts, ("body_data", ("body_data", body, self._encoding))], "headers": given}
        if "text" in exchange:
            return {"content": exchange["text"].encode(), "headers": given}
        if "body" not in exchange:
            return {"headers": given}
        return {"content": self._encoded(exchange["body"]), "headers": given}

    def _encoded(self, body: Any) -> bytes:
        plain = self._sent(body)
        return json.encode(plain) if self._encoding == JSON else msgpack.encode(plain)

    def _sent(self, value: Any, *, packed: bool = False) -> Any:
        match value:
            case {"$packed": inner}:
                return self._bytes(zstandard.compress(msgpack.encode(self._sent(inner, packed=True))), packed)
            case {"$bytes": text}:
                return self._bytes(base64.b64decode(text), packed)
            case {"$repeat": [inner, count]}:
                return [self._sent(inner)] * count
            case {"$text": inner}:
                return str(self._sent(inner))
            case dict():
                return {self._key(k): self._sent(v, packed=packed) for k, v in value.items()}
            case list():
                return [self._sent(v, packed=packed) for v in value]
            case str() if _SYMBOL.fullmatch(value):
                return self._ids.value(value)
        return value

    def _key(self, key: str) -> Any:
        value = self._ids.value(key) if _SYMBOL.fullmatch(key) else key
        return str(value) if self._encoding == JSON else value

    def _bytes(self, data: bytes, packed: bool) -> Any:
        native = packed or self._encoding == MSGPACK
        return data if native else {"_bytes_base64_": base64.b64encode(data).decode()}

    def _seen(self, body: bytes, kind: str, exchange: dict[str, Any]) -> Any:
        try:
            value = msgpack.decode(body, strict=False) if kind == MSGPACK else json.decode(body)
        except ValueError:
            return f"<{len(body)} bytes>" if not body else "<not JSON>"
        ids, masks = IDS | exchange.get("ids", {}), (*exchange.get("masks", ()), *MASKS)
        return self._shown(value, "", ids, masks)

    def _shown(self, value: Any, path: str, ids: dict[str, str], masks: tuple[str, ...]) -> Any:
        if value is not None and any(fnmatchcase(path, mask) for mask in masks):
            return f"<{'bytes' if is_bytes(value) else type(value).__name__}>"
        if isinstance(value, int | str) and not isinstance(value, bool):
            return self._single(value, path, ids)
        if isinstance(value, bytes):
            return self._shown(unpacked(value), path, ids, masks)
        if isinstance(value, dict):
            if is_bytes(value):
                return self._shown(base64.b64decode(value["_bytes_base64_"]), path, ids, masks)
            at = f"{path}." if path else ""
            return {k: self._shown(v, f"{at}{k}", ids, masks) for k, v in sorted(value.items())}
        if isinstance(value, list):
            at = f"{path}." if path else ""
            return [self._shown(v, f"{at}{i}", ids, masks) for i, v in enumerate(value)]
        return value

    def _single(self, value: int | str, path: str, ids: dict[str, str]) -> Any:
        space = next((space for pattern, space in ids.items() if fnmatchcase(path, pattern)), None)
        if space and isinstance(value, int):
            return self._ids.symbol(space, value)
        if space and value.isdecimal():  # type: ignore[union-attr]
            return {"$text": self._ids.symbol(space, int(value))}
        if isinstance(value, str) and _TIME.fullmatch(value):
            return f"<time {datetime.fromisoformat(value).tzname() or 'without zone'}>"
        return value


def is_bytes(value: Any) -> bool:
    """Whether these are bytes, as they are or as JSON has them."""
    return isinstance(value, bytes) or (isinstance(value, dict) and value.keys() == {"_bytes_base64_"})


def unpacked(data: bytes) -> dict[str, Any]:
    """What bytes hold, if they are a zstd frame that states its size, of MessagePack; else themselves."""
    try:
        if zstandard.frame_content_size(data) >= 0:
            return {"$packed": msgpack.decode(zstandard.decompress(data), strict=False)}
    except (zstandard.ZstdError, ValueError):
        return {"$bytes": base64.b64encode(data).decode()}
    return {"$unsized": base64.b64encode(data).decode()}
