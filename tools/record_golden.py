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
from typing import Any

import httpx

from qchive.db.embedded import EmbeddedPostgres
from tests.interop.conftest import peer
from tests.interop.golden.replay import JSON, MSGPACK, Session
from tools.golden import TOPICS

GOLDEN = Path(__file__).parent.parent / "tests" / "interop" / "golden"


def recorded(topic: str, dsn: str, folder: Path) -> list[dict[str, Any]]:
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
    return [
        exchange | first | ({"msgpack": differs} if (differs := {k: v for k, v in second.items() if v != first[k]}) else {})
        for exchange, first, second in zip(TOPICS[topic], *answers, strict=True)
    ]


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
