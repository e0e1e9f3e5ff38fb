"""`qchive records`: changing records. The commands that move them are the rows of `status.ACTIONS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson
from qchive.status import ACTIONS, Action, PriorityEnum, RecordStatusEnum, Spread

if TYPE_CHECKING:
    from qchive.api.metadata import DeleteMetadata, UpdateMetadata
    from qchive.client.portal import PortalClient

Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Ids of records.", show_default=False)]


def add_to(group: typer.Typer) -> None:
    """Add a command for each action, and those for tag, priority and comments."""
    for action in ACTIONS.values():
        group.command(action.name.replace("_", "-"), help=action.doc, rich_help_panel="Changing")(_command(action))
    group.command(rich_help_panel="Changing")(modify)
    group.command(rich_help_panel="Changing")(comment)


def _command(action: Action) -> Callable[..., None]:
    def run(ids: Ids, address: Address = DEFAULT, as_json: AsJson = False) -> None:
        with connect(address) as client:
            _tell(ids, _move(client, action, ids), as_json)

    return run


def _move(client: PortalClient, action: Action, ids: list[int]) -> UpdateMetadata | DeleteMetadata:
    if action.target is RecordStatusEnum.deleted:
        return client.delete_records(ids, delete_children=action.spread is Spread.family)
    answer: UpdateMetadata = getattr(client, f"{action.name}_records")(ids)
    return answer


def modify(
    ids: Ids,
    tag: Annotated[str | None, typer.Option(help="New compute tag.")] = None,
    priority: Annotated[str | None, typer.Option(help="low, normal or high.")] = None,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Change tag or priority of records that still have to run."""
    if tag is None and priority is None:
        raise typer.BadParameter("give a new --tag, a new --priority or both")
    with connect(address) as client:
        answer = client.modify_records(ids, new_tag=tag, new_priority=priority_of(priority) if priority else None)
        _tell(ids, answer, as_json)


def priority_of(text: str) -> PriorityEnum:
    """The priority of this name.

    Raises:
        typer.BadParameter: there is none.
    """
    try:
        return PriorityEnum.of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--priority") from None


def comment(
    ids: Ids,
    text: Annotated[str, typer.Option("--text", "-m", help="What to write.")],
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write a comment on records."""
    with connect(address) as client:
        _tell(ids, client.add_comment(ids, text), as_json)


def _tell(ids: list[int], answer: Any, as_json: bool) -> None:
    """Say which records changed and which did not; exit code 1 if some did not."""
    done = answer.deleted_idx if hasattr(answer, "deleted_idx") else answer.updated_idx
    relatives = answer.n_children_deleted if hasattr(answer, "deleted_idx") else answer.n_children_updated
    refused = [{"id": ids[i], "reason": reason} for i, reason in answer.errors]
    if as_json:
        printing.write_json({"changed": [ids[i] for i in done], "refused": refused, "relatives_changed": relatives})
    else:
        more = f", and {printing.many(relatives, 'relative')} with them" if relatives else ""
        typer.echo(f"{printing.many(len(done), 'record')} changed{more}")
        for one in refused:
            printing.tell(f"  record {one['id']}: {one['reason']}")
        if answer.error_description:
            printing.tell(f"  {answer.error_description}")
    raise typer.Exit(not answer.success)
