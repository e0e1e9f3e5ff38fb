"""`qchive add`: records of any kind, from files that say what the API is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from qchive.cli import submit
from qchive.cli.changing import priority_of
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Computing")(add)


def add(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="YAML or JSON: kind, specification, inputs.", show_default=False),
    ],
    tag: Annotated[str, typer.Option(help="Only workers that take this tag run it.")] = "*",
    priority: Annotated[str, typer.Option(help="low, normal or high.")] = "normal",
    find_existing: Annotated[
        bool, typer.Option("--find-existing/--again", help="Use what has been computed already, or compute it again.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Until all have ended; exit code 1 if one failed.")] = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Add computations of any kind: torsion scans, reactions, elastic bands …

    A file has `kind`, `specification` and the inputs as that kind names them (docs/reference/kinds.md). A molecule is
    an id, a mapping as QCSchema has it, or the name of a file beside it, which stands for all molecules inside.
    """
    read = [(path.name, *_read(path)) for path in files]
    names: list[str] = []
    ids: list[int] = []
    new: set[int] = set()
    with connect(address) as client:
        for name, kind, specification, inputs in read:
            meta, some = client.add(
                kind,
                inputs,
                specification,
                tag=tag,
                priority=priority_of(priority),
                find_existing=find_existing,
            )
            submit.refuse(meta)
            new |= {len(ids) + n for n in meta.inserted_idx}
            names += [name] * len(some)
            ids += some
        submit.finish(client, names, ids, new, wait=wait, as_json=as_json)


def _read(path: Path) -> tuple[str, Any, list[Any]]:
    """Kind, specification and inputs of a file.

    Raises:
        typer.BadParameter: it cannot be read, or something is missing or too much.
        InvalidMolecule: a file with molecules that it names cannot be read.
    """
    import yaml

    from qchive.kinds import KINDS

    kinds = {name: kind for name, kind in KINDS.items() if not kind.internal}
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except OSError as error:
        raise _bad(path, error.strerror) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad(path, f"neither YAML nor JSON: {error}") from error
    if not isinstance(told, Mapping) or told.get("kind") not in kinds:
        raise _bad(path, f"say which kind it is: {', '.join(kinds)}")
    kind = kinds[told["kind"]]
    field = kind.inputs.field
    if set(told) != {"kind", "specification", field}:
        raise _bad(path, f"a {kind.name} has kind, specification and {field}, and nothing else")
    inputs = _with_molecules(told[field], path.parent)
    return kind.name, told["specification"], inputs if isinstance(inputs, list) else [inputs]


def _bad(path: Path, why: Any) -> typer.BadParameter:
    return typer.BadParameter(f"{path}: {why}", param_hint="FILE…")


def _with_molecules(value: Any, folder: Path) -> Any:
    """The inputs with molecules in the places of the files that hold them."""
    if isinstance(value, str):
        return [molecule for _, molecule in submit.read([str(folder / value)], charge_in_comment=True)]
    if not isinstance(value, list):
        return value
    found: list[Any] = []
    for one in value:
        inner = _with_molecules(one, folder)
        found += inner if isinstance(one, str) else [inner]
    return found
