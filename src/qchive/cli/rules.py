"""`qchive rules`: what is submitted by itself when records complete."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.changing import priority_of
from qchive.cli.confirming import Yes, confirm
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.filtering import Filter
from qchive.cli.options import Options, expanded
from qchive.cli.printing import AsJson
from qchive.cli.submit import settings

if TYPE_CHECKING:
    from qchive.api.rules import FollowOn
    from qchive.client.rules import Rule

Which = Annotated[str, typer.Argument(metavar="RULE", help="Name or id of a rule.")]

_FEW = 20
"""How many records are listed for a person."""


class What(StrEnum):
    """What is submitted of a molecule."""

    energy = "energy"
    gradient = "gradient"
    hessian = "hessian"
    properties = "properties"
    optimization = "optimization"


class Then(Options, frozen=True, kw_only=True):
    """What a rule submits."""

    then: Annotated[What, typer.Option("--then", help="What to compute of the final molecule.")]
    then_program: Annotated[str, typer.Option("--then-program", help="pyscf, tblite, rdkit, psi4, nwchem …")]
    then_method: Annotated[str, typer.Option("--then-method", help="hf, b3lyp-d3bj, mp2, gfn2-xtb, mmff94 …")]
    then_basis: Annotated[str | None, typer.Option("--then-basis", help="Where the method needs one.")] = None
    then_keyword: Annotated[
        list[str] | None, typer.Option("--then-keyword", metavar="NAME=VALUE", help="Of the program.")
    ] = None
    then_optimizer: Annotated[str, typer.Option("--then-optimizer", help="Of an optimization.")] = "geometric"
    then_optimizer_keyword: Annotated[
        list[str] | None, typer.Option("--then-optimizer-keyword", metavar="NAME=VALUE", help="Of the optimizer.")
    ] = None
    then_protocol: Annotated[
        list[str] | None, typer.Option("--then-protocol", metavar="NAME=VALUE", help="What to keep: wavefunction=all …")
    ] = None
    then_tag: Annotated[str, typer.Option("--then-tag", help="Only workers that take this tag run it.")] = "*"
    then_priority: Annotated[str, typer.Option("--then-priority", help="low, normal or high.")] = "normal"

    def request(self) -> dict[str, Any]:
        """What is submitted, as `add_rule` of the client takes it.

        Raises:
            typer.BadParameter: something that does not go together.
        """
        optimize = self.then is What.optimization
        if self.then_optimizer_keyword and not optimize:
            raise typer.BadParameter(
                "there is no optimizer without --then optimization", param_hint="--then-optimizer-keyword"
            )
        spec: dict[str, Any] = {"program": self.then_program, "method": self.then_method, "basis": self.then_basis}
        spec["keywords"] = settings(self.then_keyword, "--then-keyword")
        if optimize:
            own = settings(self.then_optimizer_keyword, "--then-optimizer-keyword")
            spec = {"program": self.then_optimizer, "qc_specification": spec, "keywords": own}
        else:
            spec["driver"] = self.then.value
        return {
            "record_type": "optimization" if optimize else "singlepoint",
            "specification": spec | {"protocols": settings(self.then_protocol, "--then-protocol")},
            "compute_tag": self.then_tag,
            "compute_priority": priority_of(self.then_priority, "--then-priority"),
        }


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Submit computations by themselves when others complete.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command()(expanded(add))
    group.command("list")(list_)
    for command in (show, enable, disable, remove):
        group.command()(command)
    app.add_typer(group, name="rules", rich_help_panel="Computing")


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the rule.")],
    filter: Filter,
    submitted: Then,
    find_existing: Annotated[
        bool, typer.Option("--find-existing/--again", help="Use what has been computed already, or compute it again.")
    ] = True,
    backfill: Annotated[bool, typer.Option("--backfill", help="Follow also what is complete already.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Let it do nothing yet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many complete records fit now.")] = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Add a rule: whenever a record that fits completes, submit something on its final molecule."""
    body = {"name": name, "filter": filter.given(), **submitted.request(), "find_existing": find_existing}
    with connect(address) as client:
        if dry_run:
            fit = client.preview_rule(**body)
            if as_json:
                printing.write_json({"complete": fit})
            else:
                typer.echo(f"{printing.many(fit, 'complete record')} would be followed at once with --backfill")
            return
        rule = client.add_rule(**body, backfill=backfill, enabled=not disabled)
    _tell(rule, as_json)


def list_(
    name: Annotated[list[str] | None, typer.Option(help="What it is called.")] = None,
    owner: Annotated[list[str] | None, typer.Option(help="To whom it belongs.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Only such rules.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 25,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List rules, the newest first."""
    given = {"name": name or None, "owner_user": owner or None, "enabled": enabled}
    with connect(address) as client:
        found = list(client.query_rules(**given, limit=limit))
    if as_json:
        printing.write_json([described(rule) for rule in found])
        return
    columns = ("id", "name", "owner", "state", "follows", "submits", "waiting", "made", "found", "failed")
    rows = (
        (r.id, r.name, r.owner, _state(r), _follows(r), _submits(r), r.waiting, r.made, r.found, r.failed)
        for r in found
    )
    printing.console().print(printing.table(columns, rows, right=("id", "waiting", "made", "found", "failed")))


def show(
    rule: Which,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many of its records to list.")] = _FEW,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show a rule: what it follows and submits, how far it is, and what came of it record by record."""
    with connect(address) as client:
        found = client.get_rule(_named(rule))
        some = list(islice(found.follow_ons(), limit))
    if as_json:
        import msgspec

        printing.write_json(described(found) | {"follow_ons": msgspec.to_builtins(some)})
        return
    out = printing.console()
    out.print(f"[bold]Rule {found.id}[/]  {found.name}  {_state(found)}")
    out.print(printing.facts(_facts(found)))
    if some:
        columns = ("record", "followed by", "", "time", "why not")
        out.print(printing.table(columns, map(_row, some), right=("record", "followed by")))


def enable(
    rule: Which,
    backfill: Annotated[bool, typer.Option("--backfill", help="Follow also what is complete already.")] = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Let a rule follow what completes from now on."""
    with connect(address) as client:
        _tell(client.enable_rule(_named(rule), backfill), as_json)


def disable(rule: Which, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Let a rule follow nothing until it is enabled again."""
    with connect(address) as client:
        _tell(client.disable_rule(_named(rule)), as_json)


def remove(rule: Which, yes: Yes = False, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Remove a rule. What it made stays, and says what it came from."""
    with connect(address) as client:
        found = client.get_rule(_named(rule))
        confirm(f"remove the rule {found.name}, which made {printing.many(found.made, 'record')}?", yes)
        found.remove()
    if as_json:
        printing.write_json({"removed": found.id})
    else:
        typer.echo(f"Rule {found.id}, {found.name}, is removed")


def described(rule: Rule) -> dict[str, Any]:
    """A rule as JSON has it."""
    import msgspec

    from qchive.api.rules import Rule as Document

    found = {name: getattr(rule, name) for name in Document.__struct_fields__}
    return found | {
        "specification": msgspec.to_builtins(rule.specification),
        "compute_priority": rule.compute_priority.name,
    }


def _named(rule: str) -> int | str:
    return int(rule) if rule.isdecimal() else rule


def _tell(rule: Rule, as_json: bool) -> None:
    if as_json:
        printing.write_json(described(rule))
        return
    typer.echo(f"Rule {rule.id}, {rule.name}, is {_state(rule)}: of {_follows(rule)} it submits {_submits(rule)}")
    if rule.enabled:
        printing.tell(f"What it does: qchive rules show {rule.id}")


def _state(rule: Rule) -> str:
    if rule.problem:
        return "in trouble"
    return "disabled" if not rule.enabled else "looking back" if rule.looking_back else "enabled"


def _follows(rule: Rule) -> str:
    parts = []
    for name, value in rule.filter.items():
        values = value if isinstance(value, list) else [value]
        parts.append(f"{name} {' or '.join(str(v) if v is not None else 'none' for v in values)}")
    return ", ".join(parts) or "all records"


def _submits(rule: Rule) -> str:
    from qchive.kinds import KINDS

    if rule.record_type not in KINDS:
        return str(rule.record_type)
    asked = KINDS[rule.record_type].facets(rule.specification)
    level = "/".join(part for part in (asked.method, asked.basis) if part)
    by = f" by {asked.program}" if asked.program != asked.qc_program else ""
    return f"{asked.driver or rule.record_type}{by}, {asked.qc_program or asked.program} {level}"


def _facts(rule: Rule) -> Iterable[tuple[str, Any]]:
    yield "owner", rule.owner
    yield "follows", _follows(rule)
    yield "submits", _submits(rule)
    yield "queue", f"tag {rule.compute_tag}, priority {rule.compute_priority.name}"
    yield "added", printing.moment(rule.created_on)
    yield "waiting", rule.waiting
    yield "made", rule.made
    yield "found", rule.found or None
    yield "failed", rule.failed or None
    yield "came from it", f"{printing.many(rule.looped, 'record')}, left alone" if rule.looped else None
    yield "problem", rule.problem


def _row(one: FollowOn) -> tuple[Any, ...]:
    return one.source_id, one.record_id, one.state, printing.moment(one.time), one.problem
