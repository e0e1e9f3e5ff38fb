"""`qchive submit`: from files to records."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.changing import priority_of
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient

Named = list[tuple[str, dict[str, Any]]]
"""Molecules with the names of the files they come from."""

_OF_CHARGE = frozenset(
    ("molecular_charge", "molecular_multiplicity", "fragment_charges", "fragment_multiplicities", "identifiers")
) | {"validated"}
"""What no longer holds for a molecule with another charge or spin."""

_FEW = 10
"""As many ids are still written out in a command to copy."""

_MOST = 100_000
"""Molecules of one command; the client sends them in portions that the server takes."""


class Driver(StrEnum):
    """What is computed of a molecule."""

    energy = "energy"
    gradient = "gradient"
    hessian = "hessian"
    properties = "properties"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Computing")(submit)


def submit(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="xyz, QCSchema json, archives of them; - is stdin.", show_default=False),
    ],
    program: Annotated[str, typer.Option("--program", "-p", help="pyscf, tblite, rdkit, psi4, nwchem …")],
    method: Annotated[str, typer.Option("--method", "-m", help="hf, b3lyp-d3bj, mp2, gfn2-xtb, mmff94 …")],
    basis: Annotated[str | None, typer.Option("--basis", "-b", help="Where the method needs one.")] = None,
    driver: Annotated[Driver | None, typer.Option("--driver", "-d", help="Default: energy.")] = None,
    optimize: Annotated[bool, typer.Option("--optimize", help="Optimize the geometry.")] = False,
    optimizer: Annotated[str, typer.Option(help="Program that takes the steps.")] = "geometric",
    charge: Annotated[
        float | None, typer.Option("--charge", "-c", help="Total charge; default: as the file says.")
    ] = None,
    multiplicity: Annotated[
        int | None, typer.Option(min=1, help="2S+1; default: as the file says, or the lowest.")
    ] = None,
    keyword: Annotated[
        list[str] | None, typer.Option("--keyword", "-k", metavar="NAME=VALUE", help="Of the program.")
    ] = None,
    optimizer_keyword: Annotated[
        list[str] | None, typer.Option("--optimizer-keyword", metavar="NAME=VALUE", help="Of the optimizer.")
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME=VALUE", help="What to keep: wavefunction=all, trajectory=final …"),
    ] = None,
    tag: Annotated[str, typer.Option(help="Only workers that take this tag run it.")] = "*",
    priority: Annotated[str, typer.Option(help="low, normal or high.")] = "normal",
    find_existing: Annotated[
        bool, typer.Option("--find-existing/--again", help="Use what has been computed already, or compute it again.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Until all have ended; exit code 1 if one failed.")] = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Add computations: one for each molecule in the files.

    A value of a keyword is read as JSON where it is JSON (100, true, [1, 2]), else as text.
    """
    if optimize and driver is not None:
        raise typer.BadParameter("an optimizer chooses the driver itself", param_hint="--driver")
    quantum: dict[str, Any] = {
        "program": program,
        "method": method,
        "basis": basis,
        "keywords": settings(keyword, "--keyword"),
    }
    protocols = settings(protocol, "--protocol")
    if optimize:
        own = settings(optimizer_keyword, "--optimizer-keyword")
        kind = "optimization"
        spec: dict[str, Any] = {"program": optimizer, "qc_specification": quantum, "keywords": own}
    elif optimizer_keyword:
        raise typer.BadParameter("there is no optimizer without --optimize", param_hint="--optimizer-keyword")
    else:
        kind, spec = "singlepoint", {**quantum, "driver": driver or "energy"}
    molecules = prepared(read(files, charge_in_comment=charge is None), program, charge, multiplicity)
    with connect(address) as client:
        meta, ids = client.add(
            kind,
            [molecule for _, molecule in molecules],
            spec | {"protocols": protocols},
            tag=tag,
            priority=priority_of(priority),
            find_existing=find_existing,
        )
        refuse(meta)
        finish(client, [name for name, _ in molecules], ids, set(meta.inserted_idx), wait=wait, as_json=as_json)


def read(files: Iterable[str], *, charge_in_comment: bool) -> Named:
    """The molecules in files, in order; `-` is stdin, xyz or QCSchema. An xyz file may have several frames.

    With `charge_in_comment`, two whole numbers in the second line of an xyz file are charge and multiplicity.

    Raises:
        InvalidMolecule: one cannot be read; the message names them all. Nothing of the others is used either.
    """
    from qchive.errors import InvalidMolecule, QCHiveError
    from qchive.molecule import read_files

    found: Named = []
    problems: list[str] = []
    for name in files:
        try:
            frames = _frames(*_content(name))
            inside, errors = read_files(frames, molecule_limit=_MOST, charge_in_comment=charge_in_comment)
        except QCHiveError as error:
            problems.append(error.msg)
            continue
        problems += errors
        found += [(member, _document(stored.document)) for some in inside.values() for member, stored in some]
    if not found and not problems:
        problems = ["there is no molecule in what was given"]
    if problems:
        raise InvalidMolecule("nothing was submitted\n" + "\n".join(f"  {problem}" for problem in problems))
    return found


def _content(name: str) -> tuple[str, bytes]:
    """Name and content of a file as the reader wants them; the name decides how it is read.

    Raises:
        typer.BadParameter: it cannot be opened.
    """
    if name == "-":
        content = sys.stdin.buffer.read()
        return ("stdin.json" if content.lstrip().startswith(b"{") else "stdin.xyz"), content
    try:
        return Path(name).name, Path(name).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}", param_hint="FILE…") from error


def _frames(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """An xyz file of several molecules as a file for each; any other file as it is."""
    lines = content.decode(errors="replace").splitlines()
    frames: list[tuple[str, bytes]] = []
    at = 0
    while name.lower().endswith(".xyz") and "".join(lines[at:]).strip():
        if not lines[at].strip().isdigit():
            return [(name, content)]
        end = at + 2 + int(lines[at])
        frames.append((f"{name[:-4]}-{len(frames) + 1}.xyz", "\n".join(lines[at:end]).encode() + b"\n"))
        at = end
    return frames if len(frames) > 1 else [(name, content)]


def _document(stored: bytes) -> dict[str, Any]:
    import msgspec

    document: dict[str, Any] = msgspec.json.decode(stored)
    return document


def prepared(molecules: Named, program: str, charge: float | None, multiplicity: int | None) -> Named:
    """The molecules with this charge and multiplicity, and with bonds where the program needs them.

    Raises:
        InvalidMolecule: that is impossible; the message names the molecule.
    """
    from qchive.cli.bonds import NEEDED_BY, with_bonds

    if charge is not None or multiplicity is not None:
        molecules = [(name, _charged(name, molecule, charge, multiplicity)) for name, molecule in molecules]
    if program.lower() in NEEDED_BY:
        molecules = [(name, with_bonds(molecule, name)) for name, molecule in molecules]
    return molecules


def _charged(name: str, molecule: Mapping[str, Any], charge: float | None, multiplicity: int | None) -> dict[str, Any]:
    """The molecule with another charge or multiplicity; what is not given is found anew if it no longer fits."""
    from qchive.errors import InvalidMolecule
    from qchive.molecule import stored

    document = {key: value for key, value in molecule.items() if key not in _OF_CHARGE}
    document["molecular_charge"] = molecule["molecular_charge"] if charge is None else charge
    if multiplicity is not None:
        document["molecular_multiplicity"] = multiplicity
    try:
        return _document(stored(document).document)
    except InvalidMolecule as error:
        raise InvalidMolecule(f"{name}: {error.msg}") from error


def settings(given: Sequence[str] | None, option: str) -> dict[str, Any]:
    """`NAME=VALUE` pairs, values as JSON where they are JSON."""
    import msgspec

    found: dict[str, Any] = {}
    for pair in given or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
        try:
            found[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found[name] = text
    return found


def refuse(meta: Any) -> None:
    """Say what the server did not take."""
    from qchive.errors import InvalidRequest

    if not meta.success:
        raise InvalidRequest(f"not everything was taken:\n{meta.error_string}")


def finish(
    client: PortalClient, names: Sequence[str], ids: Sequence[int], new: set[int], *, wait: bool, as_json: bool
) -> None:
    """Say what became of each molecule, now or after waiting."""
    from qchive.cli.records import wait_for
    from qchive.cli.summary import summaries

    ended = wait_for(client, ids) if wait else {}
    rows = summaries(client, client.get_records(ids))
    told = [{"file": name, "new": i in new, **row} for i, (name, row) in enumerate(zip(names, rows, strict=True))]
    if as_json:
        printing.write_json(told)
    else:
        printing.console().print(_table(told, wait=wait))
        if not wait:
            named = " ".join(map(str, dict.fromkeys(ids))) if len(ids) <= _FEW else "--all"
            printing.tell(f"To wait for them: qchive records wait {named}")
    raise typer.Exit(any(status != "complete" for status in ended.values()))


def _table(rows: Sequence[Mapping[str, Any]], *, wait: bool) -> Any:
    columns = ["id", "", "file", "formula", "status", *(["energy / Eh"] if wait else [])]
    cells = (
        (
            row["id"],
            "new" if row["new"] else "existing",
            row["file"],
            row["formula"],
            printing.coloured(row["status"]),
            *([f"{row['energy']:.10f}" if row["energy"] is not None else None] if wait else []),
        )
        for row in rows
    )
    return printing.table(columns, cells, right=("id", "energy / Eh"))
