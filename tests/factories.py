"""What tests of the server are made of: molecules, requests over HTTP, managers that invent their results."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import msgspec
import psycopg
import zstandard

from qchive.wire import JSON, MSGPACK

PROGRAMS = {"qcengine": ["0.52.0"], "psi4": ["1.9"], "geometric": ["1.1.1"], "xtb": ["20.2"]}
SPEC: dict[str, Any] = {"program": "psi4", "driver": "energy", "method": "hf", "basis": "sto-3g"}
OPTIMIZATION: dict[str, Any] = {"program": "geometric", "qc_specification": SPEC}
PROVENANCE = {"creator": "psi4", "version": "1.9", "routine": "run", "wall_time": 3.0, "nthreads": 4}
_OUTPUTS, _FILES = "_qcfractal_compressed_outputs", "_qcfractal_compressed_native_files"
_numbers = itertools.count(1)


class Refused(AssertionError):
    """An answer with another status than the test wanted."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"HTTP {answer.status_code}: {answer.text[:2000]}")
        self.status = answer.status_code
        self.reply = answer.json() if answer.headers.get("content-type") == JSON else {}


class Http:
    """Requests to a server, without any client of ours in between."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.raw = httpx.Client(base_url=address, timeout=60)

    def ask(self, method: str, path: str, body: Any = ..., *, encoding: str = JSON, **query: Any) -> Any:
        """The decoded answer; `Refused` for anything but 200. `encoding` goes both ways."""
        content = None
        if body is not ...:
            content = msgspec.json.encode(body) if encoding == JSON else msgspec.msgpack.encode(body)
        headers = {"Content-Type": encoding, "Accept": encoding}
        answer = self.raw.request(method, path, content=content, headers=headers, params=query)
        if answer.status_code != 200:
            raise Refused(answer)
        if answer.headers["content-type"] == MSGPACK:
            return msgspec.msgpack.decode(answer.content, strict=False)
        return msgspec.json.decode(answer.content)

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", f"/api/v1/{path}", **query)

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.ask("POST", f"/api/v1/{path}", body, **more)

    def patch(self, path: str, body: Any) -> Any:
        return self.ask("PATCH", f"/api/v1/{path}", body)

    def compute(self, path: str, body: Any, method: str = "POST") -> Any:
        return self.ask(method, f"/compute/v1/{path}", body)

    def refused(self, method: str, path: str, body: Any = ..., **more: Any) -> Refused:
        """The refusal of a request that must not succeed."""
        try:
            answer = self.ask(method, path, body, **more)
        except Refused as refusal:
            return refusal
        raise AssertionError(f"{method} {path} was answered with {answer!r}")

    def record(self, record_id: int, *include: str) -> dict[str, Any]:
        """One record with everything that `*` means, and what is named."""
        return self.get(f"records/{record_id}", include=["*", *include])  # type: ignore[no-any-return]

    def statuses(self, ids: Sequence[int]) -> list[str | None]:
        """The status of each record; None for one that does not exist."""
        body = {"ids": list(ids), "include": ["status"], "missing_ok": True}
        return [r and r["status"] for r in self.post("records/bulkGet", body)]


@contextlib.contextmanager
def http(address: str) -> Iterator[Http]:
    """An `Http` whose connections are closed afterwards."""
    made = Http(address)
    with made.raw:
        yield made


def make_molecule(number: int | None = None, symbols: Sequence[str] = ("He", "He"), **more: Any) -> dict[str, Any]:
    """A molecule unlike all others, or the one of this number: atoms in a row, a little further apart each time."""
    distance = 3.0 + 0.001 * (next(_numbers) if number is None else number)
    geometry = [x for i in range(len(symbols)) for x in (0.0, 0.0, i * distance)]
    molecule = {"symbols": list(symbols), "geometry": geometry, "molecular_charge": 0.0, "molecular_multiplicity": 1}
    return {**molecule, "validated": True, "provenance": {"creator": "tests"}, **more}


def add(
    api: Http, n: int = 1, kind: str = "singlepoint", *, spec: Any = None, molecules: Any = None, **more: Any
) -> list[int]:
    """Ids of `n` new waiting records, of one specification and different molecules."""
    field = "molecules" if kind == "singlepoint" else "initial_molecules"
    body = {
        "specification": spec or (SPEC if kind == "singlepoint" else OPTIMIZATION),
        field: molecules or [make_molecule() for _ in range(n)],
        "compute_tag": "*",
        "compute_priority": 1,
        **more,
    }
    meta, ids = api.post(f"records/{kind}/bulkCreate", body)
    assert meta["error_description"] is None, meta
    return ids  # type: ignore[no-any-return]


def packed(value: Any) -> dict[str, str]:
    """A value as compute managers send it: zstd(msgpack), base64 in JSON."""
    return as_bytes(zstandard.compress(msgspec.msgpack.encode(value)))


def as_bytes(data: bytes) -> dict[str, str]:
    """Bytes as JSON carries them."""
    return {"_bytes_base64_": msgspec.to_builtins(data)}


def raw_bytes(sent: Any) -> bytes:
    """The bytes behind what JSON carries."""
    return msgspec.convert(sent["_bytes_base64_"], bytes)


def unpacked(sent: Any, compression: str = "zstd") -> Any:
    """The value behind a blob of an answer, decompressed as existing clients do: in one shot."""
    assert compression == "zstd"
    return msgspec.msgpack.decode(zstandard.decompress(raw_bytes(sent)), strict=False)


def make_result(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The result of a claimed task, whichever kind it is of."""
    kwargs = unpacked(task["function_kwargs_compressed"])
    given = kwargs["input_data"]
    return (optimization(given) if "initial_molecule" in given else singlepoint(given)) | more


def singlepoint(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The result of a single point, by its input."""
    n = 3 * len(given["molecule"]["symbols"])
    result = {"energy": -2.5, "gradient": [0.125] * n, "hessian": [0.5] * n * n, "properties": {"dipole": [0, 0, 1]}}
    return {
        "schema_name": "qcschema_output",
        "schema_version": 1,
        **{k: given[k] for k in ("molecule", "driver", "model", "keywords")},
        "id": given.get("id"),
        "protocols": given.get("protocols", {}),
        "provenance": PROVENANCE,
        "properties": {"return_energy": -2.5, "calcinfo_natom": n // 3},
        "extras": {"qcvars": {"HF TOTAL ENERGY": -2.5}, "mine": {"deep": [1, 2]}},
        "return_result": result[given["driver"]],
        "success": True,
        **more,
    }


def optimization(given: dict[str, Any], steps: int = 2, **more: Any) -> dict[str, Any]:
    """The result of an optimization, by its input."""
    inner, start = given["input_specification"], given["initial_molecule"]
    path = []
    for step in range(steps):
        moved = [x + 0.25 * step for x in start["geometry"][:-1]] + [start["geometry"][-1] + 0.5 * step]
        keys = {k: v for k, v in start.items() if k not in ("id", "identifiers")}
        path.append({**keys, "geometry": moved})
    common = {"model": inner["model"], "keywords": inner["keywords"], "driver": "gradient"}
    return {
        "schema_name": "qcschema_optimization_output",
        "schema_version": 1,
        "id": given.get("id"),
        "keywords": given["keywords"],
        "input_specification": inner,
        "initial_molecule": start,
        "provenance": {"creator": "geometric", "version": "1.1", "routine": "optimize"},
        "extras": {},
        "final_molecule": path[-1],
        "trajectory": [singlepoint({**common, "molecule": m}) for m in path],
        "energies": [-1.0 - 0.5 * i for i in range(steps)],
        "success": True,
        **more,
    }


def failure(error_type: str = "convergence_error", **more: Any) -> dict[str, Any]:
    """A computation that failed."""
    error = {"error_type": error_type, "error_message": "SCF did not converge"}
    return {"success": False, "error": error, **more}


def moved(result: dict[str, Any]) -> dict[str, Any]:
    """The result as the unmodified manager sends it: outputs and native files compressed, inside extras."""
    outputs = {k: _part(result[k]) for k in ("stdout", "stderr", "error") if result.get(k) is not None}
    files = {name: _part(text) for name, text in (result.get("native_files") or {}).items()}
    extras = {**result["extras"], _OUTPUTS: outputs, _FILES: files}
    gone = {**dict.fromkeys(outputs), "native_files": {}}
    steps = {"trajectory": [moved(step) for step in result["trajectory"]]} if "trajectory" in result else {}
    return {**result, **gone, **steps, "extras": extras}


def _part(value: Any) -> dict[str, Any]:
    data = zstandard.compress(msgspec.msgpack.encode(value))
    return {"compression_type": "zstd", "compression_level": 16, "data": data}


class Manager:
    """A compute manager over plain HTTP."""

    def __init__(
        self,
        api: Http,
        *,
        cluster: str = "lab",
        tags: Sequence[str] = ("*",),
        programs: dict[str, list[str]] | None = None,
        activate: bool = True,
    ) -> None:
        self.api = api
        self.name_data = {"cluster": cluster, "hostname": "node1", "uuid": f"u{next(_numbers)}"}
        self.name = "-".join(self.name_data.values())
        self.programs, self.tags = programs or PROGRAMS, list(tags)
        if activate:
            self.id = self.activate()

    def activate(self) -> int:
        body = {**self.offer(), "manager_version": "0.71", "username": None}
        return self.api.compute("managers", body)  # type: ignore[no-any-return]

    def offer(self, **more: Any) -> dict[str, Any]:
        return {"name_data": self.name_data, "programs": self.programs, "compute_tags": self.tags, **more}

    def claim(self, limit: int = 10, **more: Any) -> list[dict[str, Any]]:
        return self.api.compute("tasks/claim", self.offer(limit=limit, **more))  # type: ignore[no-any-return]

    def give(self, results: dict[int, Any]) -> dict[str, Any]:
        """Return results by task id; bytes go as they are, everything else is packed."""
        sent = {i: as_bytes(r) if isinstance(r, bytes) else packed(r) for i, r in results.items()}
        body = {"name_data": self.name_data, "results_compressed": sent}
        return self.api.compute("tasks/return", body)  # type: ignore[no-any-return]

    def give_one(self, task: int, result: Any) -> str | None:
        """Return one result: None if it was taken, else the reason why not."""
        answer = self.give({task: result})
        assert len(answer["accepted_ids"]) + len(answer["rejected_info"]) == 1, answer
        return None if answer["accepted_ids"] == [task] else answer["rejected_info"][0][1]

    def beat(self, status: str = "active", **more: Any) -> Any:
        figures = {"active_tasks": 0, "active_cores": 1, "active_memory": 2.0, "total_cpu_hours": 0.5}
        return self.api.compute(f"managers/{self.name}", {"status": status, **figures, **more}, "PATCH")

    def shown(self) -> dict[str, Any]:
        return self.api.get(f"managers/{self.name}")  # type: ignore[no-any-return]


_tags = (f"tag{n}" for n in _numbers)


def claimed(api: Http, *kinds: str, **more: Any) -> tuple[Manager, list[dict[str, Any]]]:
    """A manager, and the tasks of new records that it has just claimed."""
    tag = next(_tags)
    for kind in kinds:
        add(api, kind=kind, compute_tag=tag, **more)
    manager = Manager(api, tags=[tag])
    return manager, manager.claim()


def started(api: Http, kind: str = "singlepoint", **more: Any) -> tuple[Manager, dict[str, Any]]:
    """A manager, and the task of a new record that it has just claimed."""
    manager, (task,) = claimed(api, kind, **more)
    return manager, task


def claim_and_return(manager: Manager, limit: int = 200, **more: Any) -> list[int]:
    """Run everything that waits, with success; the ids of the records, in the order of their claim."""
    tasks = manager.claim(limit)
    if tasks:
        answer = manager.give({t["id"]: make_result(t, **more) for t in tasks})
        assert answer["rejected_info"] == [], answer
    return [t["record_id"] for t in tasks]


def complete(api: Http, kind: str = "singlepoint", **more: Any) -> int:
    """The id of a new record that has been computed."""
    (record_id,) = add(api, kind=kind)
    assert record_id in claim_and_return(Manager(api), **more)
    return record_id


def until(condition: Callable[[], Any], seconds: float = 40.0) -> None:
    """Wait for what is to come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def sql(conninfo: str, statement: str, *params: Any) -> list[tuple[Any, ...]]:
    """Look into the database behind a server, or change what no request could."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        found = conn.execute(statement.encode(), params)
        return found.fetchall() if found.description else []


def silence(conninfo: str, manager: Manager) -> None:
    """The manager is not heard of any more, and the server loses what it ran."""
    import asyncio

    from qchive.db.pool import Database
    from qchive.server import losing

    async def lose() -> None:
        db = Database(conninfo, size=1)
        await db.open()
        try:
            await db.run(lambda conn: losing.lose(conn, [manager.id], 5))
        finally:
            await db.close()

    asyncio.run(lose())
