"""What the code says about statements: which it runs, with which parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import qchive
from qchive.db import statements

SOURCE = Path(qchive.__file__).parent
PARAMETER = re.compile(r"%\((\w+)\)b")


def text(name: str) -> str:
    """The text of a statement."""
    return (SOURCE / "db" / "sql" / f"{name}.sql").read_text()


def parameters(sql: str) -> set[str]:
    """The named parameters of a statement."""
    return set(PARAMETER.findall(sql))


def numbered(sql: str) -> str:
    """The statement as PREPARE wants it: $1, $2 … for its parameters."""
    names = list(dict.fromkeys(PARAMETER.findall(sql)))
    return PARAMETER.sub(lambda m: f"${names.index(m[1]) + 1}", sql).replace("%%", "%")


def calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Every call that runs a statement: where, which, with which parameters (None: not to be seen from outside)."""
    names = ("rows", "tuples", "column", "execute", "later", "ask")
    runners = {False: {f"statements.{name}" for name in names}, True: set(names)}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) in runners[path.stem == "statements"]):
                continue
            name = node.args[1]
            assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: the statement's name is computed"
            given = {k.arg for k in node.keywords}
            yield f"{path.name}:{node.lineno}", name.value, None if None in given else given  # type: ignore[arg-type]


NAMES = statements.names()
