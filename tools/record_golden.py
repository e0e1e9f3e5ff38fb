"""Ask the peer's server, unmodified, and write down what it answers: `python -m tools.record_golden [TOPIC ...]`.

For each topic a server of its own on an empty database, once in JSON and once in MessagePack. The files are what
`tests/interop/test_golden.py` compares our server with.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import httpx
from tests.interop.conftest import peer
from tests.interop.golden.replay import JSON, MSGPACK, Session, usual
from tools.golden import TOPICS
from tools.golden.asking import Exchange

from qchive.db.embedded import EmbeddedPostgres

GOLDEN = Path(__file__).parent.parent / "tests" / "interop" / "golden"


def recorded(topic: str, dsn: str, folder: Path) -> list[Exchange]:
    """The topic's exchanges with the peer's answers."""
    answers = []
    for number, encoding in enumerate((JSON, MSGPACK)):
        place = folder / f"{topic}_{number}"
        place.mkdir()
        with (
            peer(dsn, place, f"golden_{topic}_{number}", security=False) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            session = Session(client, encoding)
            answers.append([session.send(exchange) for exchange in TOPICS[topic]])
    return [written(*one) for one in zip(TOPICS[topic], *answers, strict=True)]


def written(exchange: Exchange, first: Exchange, second: Exchange) -> Exchange:
    """What is kept of an exchange: nothing that is as usual, and of the second answer what differs."""
    expected = usual(first["status"])
    unusual = {part: value for part, value in first.items() if value != expected.get(part, ...)}
    differs = {part: value for part, value in second.items() if value != first[part]}
    return exchange | unusual | ({"msgpack": differs} if differs else {})


def main() -> None:
    """Record the topics named, or all."""
    folder = Path(tempfile.mkdtemp(prefix="qchive-golden-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            for topic in sys.argv[1:] or TOPICS:
                lines = ",\n".join(
                    json.dumps(one, ensure_ascii=False, separators=(",", ":"))
                    for one in recorded(topic, postgres.dsn, folder)
                )
                (GOLDEN / f"{topic}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
                print(f"{topic}: {lines.count(chr(10)) + 1} exchanges")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
