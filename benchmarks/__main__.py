"""`python -m benchmarks`: run it all, print a table, keep the figures."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import actions, clients, floor, gfn2, idle, records, scale, servers, services, table, waiting
from benchmarks.measure import Figure
from benchmarks.sizes import FULL, QUICK, WARM_UP, Sizes

Section = Callable[[servers.Server, Sizes], list[Figure]]

SECTIONS: Mapping[str, Section] = {
    "singlepoints": records.singlepoints,
    "optimizations": records.optimizations,
    "actions": actions.actions,
    "scale": scale.scale,
    "floor": floor.floor,
    "throughput": clients.throughput,
    "queue": waiting.growing,
    "snapshot": waiting.under_snapshot,
    "gfn2": gfn2.end_to_end,
    "services": services.services,
}


def main() -> None:
    """Run what was asked for."""
    asked = _arguments()
    sizes = msgspec.convert(
        msgspec.to_builtins(QUICK if asked.quick else FULL)
        | {name: int(value) for name, _, value in (text.partition("=") for text in asked.size)},
        Sizes,
    )
    figures: list[Figure] = []
    with ExitStack() as stack:
        sides = [stack.enter_context(make()) for make in (servers.ours, servers.peer)]
        about = servers.check_alike(*sides)
        for name, side in ((name, side) for name in asked.sections for side in sides):
            SECTIONS[name](side, WARM_UP)
        about["idle"] = idle.idle(sides[1])
        for turn in range(sizes.rounds):
            for name in asked.sections:
                for side in sides if turn % 2 == 0 else reversed(sides):
                    _say(f"round {turn + 1} of {sizes.rounds}: {name} on {side.name}")
                    figures += SECTIONS[name](side, sizes)
    about |= {"when": datetime.now(UTC).isoformat(timespec="minutes"), "sizes": msgspec.to_builtins(sizes)}
    about |= {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    _keep(asked.out, figures, about)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small numbers, one round")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N", help="another number; see sizes.py")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="where to write .json and .md")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(SECTIONS):
        parser.error(f"no section called {', '.join(unknown)}")
    return asked


def _keep(out: Path, figures: list[Figure], about: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_bytes(
        msgspec.json.format(msgspec.json.encode({"about": about, "figures": figures}), indent=1) + b"\n"
    )
    text = f"{table.heading(about)}\n\n{table.markdown(figures, about['idle'])}"
    out.with_suffix(".md").write_text(text + "\n")
    print(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
