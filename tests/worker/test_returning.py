"""Handing results back to a server that does not take everything; it speaks the protocol and is odd on purpose."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qchive import wire
from qchive.api.managers import ManagerName
from qchive.api.metadata import TaskReturnMetadata
from qchive.api.tasks import Return
from qchive.client.connection import Connection
from qchive.errors import QCHiveError, ServerUnreachable
from qchive.kinds import result as returned
from qchive.worker.executors.executor import Finished
from qchive.worker.returning import Returning
from qchive.worker.server import Server
from qchive.worker.spool import Spool

NAME = ManagerName(cluster="c", hostname="h", uuid="1")
POISON, NONSENSE, REJECTED, HUGE = 13, 14, 15, 16


class Odd:
    """Fails on POISON, refuses requests with NONSENSE, rejects REJECTED, and reads 100 kB at most."""

    def __init__(self) -> None:
        self.taken: dict[int, bytes] = {}
        self.requests = 0

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.requests += 1
        if len(body) > 100_000:
            return Response("<html>nginx: too large</html>", 413, media_type="text/html")
        given = wire.decode(body, Return, request.headers["content-type"]).results_compressed
        if POISON in given:
            return self.say({"msg": "boom"}, 500)
        if NONSENSE in given:
            return self.say({"msg": "no"}, 400)
        self.taken |= {task: data.data for task, data in given.items() if task != REJECTED}
        rejected = [(task, "not yours") for task in given if task == REJECTED]
        return self.say(TaskReturnMetadata(rejected_info=rejected, accepted_ids=[t for t in given if t != REJECTED]))

    def say(self, what: object, status: int = 200) -> Response:
        return Response(wire.encode(what), status, media_type=wire.JSON)


@pytest.fixture
def odd() -> Iterator[tuple[Odd, str]]:
    app = Odd()
    started = threading.Event()

    class Uvicorn(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    routes = [Route("/compute/v1/tasks/return", app.answer, methods=["POST"])]
    server = Uvicorn(uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert started.wait(30)
        yield app, f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    yield made
    made.close()


@pytest.fixture
def returning(odd: tuple[Odd, str], spool: Spool) -> Iterator[Returning]:
    with Connection(odd[1]) as connection:
        yield Returning(spool, Server(connection, {}, ["*"]))


def fill(spool: Spool, *task_ids: int, result: bytes = b"x", name: ManagerName = NAME) -> None:
    for task_id in task_ids:
        spool.put(Finished(task_id=task_id, claimed_as=name, success=True, result=result, wall_time=0.0))


def send(returning: Returning) -> None:
    returning.send(returning.next_batch(), NAME)


def test_no_more_than_ten_travel_together(spool: Spool, returning: Returning, odd: tuple[Odd, str]) -> None:
    fill(spool, *range(100, 125))
    sizes = []
    while batch := returning.next_batch():
        sizes.append(len(batch))
        returning.send(batch, NAME)
    assert sizes == [10, 10, 5]
    assert set(odd[0].taken) == set(range(100, 125))


def test_results_of_different_names_travel_apart(spool: Spool, returning: Returning) -> None:
    fill(spool, 1, 2)
    fill(spool, 3, name=ManagerName(cluster="c", hostname="h", uuid="2"))
    assert [one.task_id for one in returning.next_batch()] == [1, 2]


def test_what_is_rejected_is_settled(spool: Spool, returning: Returning, caplog: pytest.LogCaptureFixture) -> None:
    fill(spool, 1, REJECTED)
    send(returning)
    assert len(spool) == 0
    assert "The result of task 15 was refused: not yours" in caplog.text


def test_one_result_that_makes_the_server_stumble_holds_up_no_other(
    spool: Spool, returning: Returning, odd: tuple[Odd, str]
) -> None:
    fill(spool, 1, POISON, 2, 3)
    with pytest.raises(QCHiveError, match="boom"):
        send(returning)
    assert set(odd[0].taken) == {1, 2, 3}
    assert [one.task_id for one in spool.waiting()] == [POISON]
    fill(spool, 4)
    with pytest.raises(QCHiveError, match="boom"):
        send(returning)
    assert 4 in odd[0].taken


def test_one_result_that_is_refused_for_good_is_put_away(
    spool: Spool, returning: Returning, odd: tuple[Odd, str], tmp_path: Path
) -> None:
    fill(spool, 1, 2, NONSENSE, 3)
    send(returning)
    assert set(odd[0].taken) == {1, 2, 3}
    assert len(spool) == 0
    assert (tmp_path / "refused" / f"{NONSENSE}.result").exists()


def test_a_result_too_large_is_replaced_by_a_failure_that_says_so(
    spool: Spool, returning: Returning, odd: tuple[Odd, str]
) -> None:
    fill(spool, HUGE, result=b"x" * 200_000)
    fill(spool, 1)
    while len(spool):
        send(returning)
    assert odd[0].taken[1] == b"x"
    failed = returned.failure(wire.decompress_bytes(odd[0].taken[HUGE], "zstd", 1 << 20))
    assert failed is not None
    assert failed.error is not None
    assert "200000 bytes is too large for the server" in failed.error.error_message


def test_nothing_is_lost_while_nobody_answers(spool: Spool) -> None:
    fill(spool, 1)
    with Connection("http://127.0.0.1:9") as connection, pytest.raises(ServerUnreachable):
        send(Returning(spool, Server(connection, {}, ["*"])))
    assert len(spool) == 1
