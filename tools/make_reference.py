"""Write the parts of the documentation that come from the code: `python tools/make_reference.py [--check]`.

A page says where such a part stands with a line `<!-- generated: NAME -->`, and where it ends with `<!-- end -->`; NAME
is a function here. A test compares the pages with what this would write.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from as_markdown import code, fields, members, oneline, table

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end -->\n", re.DOTALL)


def refreshed(text: str) -> str:
    """A page with its generated parts as they should be now."""

    def written(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- generated: {name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end -->\n"

    return _BLOCK.sub(written, text)


def pages() -> Iterator[Path]:
    """All pages with generated parts."""
    return (path for path in sorted(DOCS.rglob("*.md")) if _BLOCK.search(path.read_text(encoding="utf-8")))


# --- settings, keywords, specifications --------------------------------------------------------------------------


def server_settings() -> str:
    """What can be set about a server."""
    from qchive.server.settings import Settings

    return fields(Settings)


def auto_reset() -> str:
    """How often failed records run again by themselves."""
    from qchive.server.settings import AutoReset

    return fields(AutoReset)


def worker_settings() -> str:
    """What can be set about a worker."""
    from qchive.worker.settings import WorkerSettings

    return fields(WorkerSettings)


def limits() -> str:
    """How much one request may carry."""
    from qchive.api.about import LIMITS

    return table(("limit", "items"), ((code(name), number) for name, number in LIMITS.items()))


def pyscf_keywords() -> str:
    """Keywords of the PySCF harness."""
    from qchive.worker.programs.pyscf_keywords import Keywords

    return fields(Keywords)


def tblite_keywords() -> str:
    """Methods and keywords of the tblite harness."""
    from qchive.worker.programs import tblite

    rows = (
        ("methods", tblite._METHODS.values()),
        ("settings", tblite._SETTINGS.values()),
        ("interactions", tblite._INTERACTIONS.values()),
    )
    return table(("", "names"), ((what, ", ".join(map(code, names))) for what, names in rows))


def kinds() -> str:
    """What can be computed."""
    from qchive.api.records import ON_REQUEST, on_request_fields, plain_fields
    from qchive.kinds import KINDS

    parts = []
    for kind in KINDS.values():
        module = inspect.getmodule(kind.specification)
        assert module is not None
        rows = (
            ("given", code(kind.inputs.field)),
            ("searched by", ", ".join(map(code, [*kind.filters, *(f"{m}_id" for m in kind.molecules), "keywords"]))),
            ("fields of its own", ", ".join(map(code, plain_fields(kind)))),
            ("sent when asked for", ", ".join(map(code, [*on_request_fields(kind), *ON_REQUEST]))),
            ("children", ", ".join(f"{code(c.name)} ({c.kind})" for c in kind.children) or "none"),
        )
        parts += [f"## {kind.name}", oneline(module.__doc__), table(("", ""), rows)]
        parts += [
            part for struct in _structs(kind.specification) for part in (f"### {struct.__name__}", fields(struct))
        ]
    return "\n\n".join(parts)


def _structs(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """A struct and those within it."""
    yield struct
    for field in msgspec.structs.fields(struct):
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from _structs(inner)


# --- the life of a record -----------------------------------------------------------------------------------------


def actions() -> str:
    """What people do to records."""
    from qchive.status import ACTIONS, Effect

    def target(a: Any) -> str:
        if a.target is not None:
            return str(a.target.value)
        return {Effect.pop: "what it was before", Effect.remove: "gone"}.get(a.effect, "as it is")

    rows = (
        (code(a.name), ", ".join(sorted(s.value for s in a.sources)), target(a), a.spread.value, a.doc)
        for a in ACTIONS.values()
    )
    return table(("action", "from", "to", "reaches", ""), rows)


def events() -> str:
    """What workers and the server do to records."""
    from qchive.status import EVENTS

    rows = (
        (code(e.name), ", ".join(sorted(s.value for s in e.sources)), e.target.value, e.doc) for e in EVENTS.values()
    )
    return table(("event", "from", "to", ""), rows)


def life() -> str:
    """The same as a diagram; moves of all statuses at once are left to the table."""
    from qchive.status import ACTIONS, EVENTS

    lines = ["stateDiagram-v2", "    [*] --> waiting: add"]
    for move in (*EVENTS.values(), *ACTIONS.values()):
        if move.target is not None and len(move.sources) < 4:
            lines += [f"    {s} --> {move.target.value}: {move.name}" for s in sorted(x.value for x in move.sources)]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def judging() -> str:
    """What becomes of a returned result, as the code that decides says it."""
    from qchive.server.judging import Standing, Verdict, judge
    from qchive.status import Status

    def at(status: Status, no: int, worker: int | None, ended: str | None = None, by: int | None = None) -> Standing:
        return Standing(status, no, worker, ended, by)

    me, other, s = 1, 2, Status
    situations = (
        ("the worker that runs the task", at(s.running, 3, me), me, 3),
        ("the same result again: the first reply was lost on the way", at(s.complete, 3, me, "complete", me), me, 3),
        ("a worker given up as lost; the record waits", at(s.waiting, 3, None, "lost", me), me, 3),
        ("a worker given up as lost; another one runs the record now", at(s.running, 4, other, "lost", me), me, 3),
        ("a worker given up as lost; the record is in error", at(s.error, 4, other, "lost", me), me, 3),
        ("a worker given up as lost; the record is complete", at(s.complete, 4, other, "lost", me), me, 3),
        ("a worker given up as lost; the record was cancelled", at(s.cancelled, 3, None, "stopped", me), me, 3),
        ("a worker that never had this task", at(s.running, 3, other), me, 3),
        ("a task that does not exist", None, me, 3),
    )

    def said(verdict: Verdict | str) -> str:
        return {Verdict.store: "taken", Verdict.repeat: "confirmed again"}.get(verdict, f"refused: {verdict}")  # type: ignore[arg-type]

    rows = (
        (text, *(said(judge(standing, no, worker, success=success)) for success in (True, False)))
        for text, standing, worker, no in situations
    )
    return table(("a result arrives from", "it succeeded", "it failed"), rows)


def error_classes() -> str:
    """What kinds of failures there are, and the error types that always are of one."""
    from qchive.diagnosis import BY_TYPE, MEANING

    types = {
        c: {t for rule in BY_TYPE if rule.error_class is c and not rule.pattern for t in rule.types} for c in MEANING
    }
    rows = (
        (code(c.value), means, what, ", ".join(map(code, sorted(types[c])))) for c, (means, what) in MEANING.items()
    )
    return table(("class", "meaning", "what to do", "error types that always are"), rows)


def automatic() -> str:
    """What becomes of records that fail again and again, as the code that decides says it."""
    from qchive.diagnosis import classify
    from qchive.server.retrying import Failed, again
    from qchive.server.settings import AutoReset

    sequences = (
        ("unknown_error", "execution_error", "unknown_error"),
        ("random_error", "unknown_error", "random_error"),
        ("ManagerLost", "KilledWorker"),
        ("resource_error", "unknown_error", "resource_error"),
        ("random_error", "convergence_error"),
        ("input_error",),
        ("internal_fractal_error",),
    )

    def after(types: tuple[str, ...]) -> str:
        reason = again([Failed(name, classify(name, "")) for name in types], AutoReset(enabled=True))
        return "stays in error" if reason is None else f"waits ({reason})"

    rows = (
        (", ".join(map(code, types)), "; ".join(after(types[: n + 1]) for n in range(len(types))))
        for types in sequences
    )
    return table(("it fails with", "and after each"), rows)


# --- what can be asked, and what can go wrong ---------------------------------------------------------------------


def endpoints() -> str:
    """Every endpoint by noun."""
    from qchive.api import endpoints as every

    groups: dict[str, list[Any]] = {}
    for row in every():
        groups.setdefault(row.kind.name if row.kind else row.name.partition(".")[0], []).append(row)
    parts = []
    for name, rows in groups.items():
        cells = ((code(f"{r.method} {r.path}"), r.doc, code(r.may)) for r in rows)
        parts += [f"## {name}", table(("endpoint", "", "permission"), cells)]
    return "\n\n".join(parts)


def errors() -> str:
    """The error tree, with what modules further up add to it."""
    from importlib import import_module

    import qchive
    from qchive.errors import QCHiveError

    for module in pkgutil.walk_packages(qchive.__path__, "qchive."):
        if not module.name.startswith("qchive.worker.programs") and not module.name.endswith("__main__"):
            import_module(module.name)
    return table(("class", "code", "HTTP", ""), _errors(QCHiveError, 0))


def _errors(cls: Any, depth: int) -> Iterator[tuple[Any, ...]]:
    yield "&nbsp;&nbsp;" * depth + code(cls.__name__), code(cls.code), cls.http or "", oneline(inspect.getdoc(cls))
    below = [one for one in cls.__subclasses__() if one.__module__.startswith("qchive.")]
    for one in sorted(below, key=lambda one: "" if one.__module__ == "qchive.errors" else one.__name__):
        yield from _errors(one, depth + 1)


# --- commands and client ------------------------------------------------------------------------------------------


def commands() -> str:
    """The command line."""
    import typer

    from qchive.cli import app

    return "\n\n".join(_commands("qchive", typer.main.get_command(app)))


def _commands(name: str, command: Any) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if not below:
        yield f"## {name}"
        yield command.help or ""
        shown = [p for p in command.params if not getattr(p, "hidden", False) and not _filters(p)]
        yield f"    {name} " + " ".join(
            [*(_argument(p) for p in shown if p.param_type_name == "argument"), "[OPTIONS]"]
        )
        yield table(("", "", "default"), (_parameter(p) for p in shown))
        if len(shown) < len(command.params):
            yield "And the options that say [which records](#which-records)."
    for part, inner in below.items():
        yield from _commands(f"{name} {part}", inner)


def _filters(parameter: Any) -> bool:
    from qchive.cli.filtering import PANEL

    return getattr(parameter, "rich_help_panel", None) == PANEL


def filters() -> str:
    """The options that say which records a command is about."""
    import typer

    from qchive.cli import app

    root: Any = typer.main.get_command(app)
    some = root.commands["records"].commands["count"].params
    return table(("", ""), (_parameter(p)[:2] for p in some if _filters(p)))


def exit_codes() -> str:
    """How commands end."""
    from qchive.cli.exits import MEANING

    return table(("exit code", ""), ((code(int(exit)), said) for exit, said in MEANING.items()))


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _parameter(parameter: Any) -> tuple[str, str, str]:
    option = parameter.param_type_name == "option"
    names = ", ".join(map(code, [*parameter.opts, *parameter.secondary_opts])) if option else code(_argument(parameter))
    said = oneline(getattr(parameter, "help", "") or "")
    if parameter.envvar:
        said = f"{said} Also `{parameter.envvar}`.".strip()
    default = parameter.default
    empty = (
        default is None or default is False or default == [] or default == () or "Sentinel" in type(default).__name__
    )
    return names, said, "required" if parameter.required and option else "" if empty else code(_plain(default))


def _plain(value: Any) -> Any:
    return "--find-existing" if value is True else getattr(value, "value", value)


def client() -> str:
    """The client's public methods."""
    from qchive.client.portal import PortalClient

    return members(PortalClient)


def internal_job() -> str:
    """What an internal job has."""
    from qchive.client.jobs import InternalJob

    return members(InternalJob)


def operations() -> str:
    """What previews, operations, counts and histories have."""
    from qchive.client.history import HistoryEvent
    from qchive.client.operations import Operation, Preview
    from qchive.client.tables import Counts

    parts = []
    for cls in (Preview, Operation, Counts, HistoryEvent):
        own = set(vars(cls))
        parts += [
            f"## {cls.__name__}",
            inspect.getdoc(cls),
            members(cls, lambda name, own=own: name in own and name[0] != "_"),
        ]
    return "\n\n".join(map(str, parts))


def rules() -> str:
    """What follow-on rules have, and what came of them."""
    from qchive.client.rules import Rule

    own = set(vars(Rule))
    return f"{inspect.getdoc(Rule)}\n\n{members(Rule, lambda name: name in own and name[0] != '_')}"


def record() -> str:
    """What a record has."""

    from qchive.client.classes import CLASSES
    from qchive.client.records import BaseRecord

    parts = [members(BaseRecord)]
    for cls in CLASSES.values():
        own = set(vars(cls))
        told = members(cls, lambda name, own=own: name in own and name[0] != "_")  # type: ignore[misc]
        parts += [f"## {cls.__name__}", inspect.getdoc(cls) or "", told]
    return "\n\n".join(parts)


BLOCKS: dict[str, Callable[[], str]] = {
    "actions": actions,
    "auto-reset": auto_reset,
    "automatic": automatic,
    "client": client,
    "commands": commands,
    "endpoints": endpoints,
    "error-classes": error_classes,
    "errors": errors,
    "events": events,
    "exit-codes": exit_codes,
    "filters": filters,
    "internal-job": internal_job,
    "judging": judging,
    "kinds": kinds,
    "life": life,
    "limits": limits,
    "operations": operations,
    "pyscf-keywords": pyscf_keywords,
    "record": record,
    "rules": rules,
    "server-settings": server_settings,
    "tblite-keywords": tblite_keywords,
    "worker-settings": worker_settings,
}


def main(*, check: bool) -> list[Path]:
    """The pages that were stale; they are written unless they are only to be checked."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    stale = {page: new for page, text in texts.items() if (new := refreshed(text)) != text}
    if not check:
        for page, text in stale.items():
            page.write_text(text, encoding="utf-8")
    return list(stale)


if __name__ == "__main__":
    look_only = "--check" in sys.argv[1:]
    found = main(check=look_only)
    for path in found:
        print(f"{path}: {'stale, run `make reference`' if look_only else 'written'}")
    sys.exit(bool(found) and look_only)
