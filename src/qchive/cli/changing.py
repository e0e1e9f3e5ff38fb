"""`qchive records`: changing records, by their ids or by filter. The commands are the rows of `status.ACTIONS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing, telling
from qchive.cli.confirming import Yes, confirm
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.filtering import Filter
from qchive.cli.options import Options, expanded
from qchive.cli.printing import AsJson
from qchive.cli.telling import NoWait, Outcome
from qchive.status import ACTIONS, Action, Effect, PriorityEnum

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient

Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Ids of records.", show_default=False)]

_OPTIONS_OF_DELETE = ("delete_alone", "remove")
"""Actions that are no commands of their own."""


class Doing(Options, frozen=True, kw_only=True):
    """Which records are to be changed, and how."""

    ids: Annotated[list[int] | None, typer.Argument(metavar="ID…", help="Ids of records.", show_default=False)] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False
    reason: Annotated[str | None, typer.Option(help="Why; kept with the operation.")] = None
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="By which share the number may have changed since it was shown.")
    ] = 0.05
    yes: Yes = False
    no_wait: NoWait = False
    address: Address = DEFAULT
    as_json: AsJson = False


def add_to(group: typer.Typer) -> None:
    """Add a command for each action."""
    own: dict[str, Callable[..., None]] = {"modify": modify, "comment": comment, "delete": delete}
    for action in ACTIONS.values():
        if action.name not in _OPTIONS_OF_DELETE:
            command = own.get(action.name) or _command(action)
            group.command(action.name, help=action.doc, rich_help_panel="Changing")(expanded(command))


def _command(action: Action) -> Callable[..., None]:
    def run(doing: Doing, filter: Filter) -> None:
        act(action, doing, filter)

    return run


def delete(
    doing: Doing,
    filter: Filter,
    keep_children: Annotated[bool, typer.Option("--keep-children", help=ACTIONS["delete_alone"].doc)] = False,
    for_good: Annotated[bool, typer.Option("--for-good", help=f"By ids only. {ACTIONS['remove'].doc}")] = False,
) -> None:
    """Mark records as deleted, or remove them for good."""
    if for_good:
        _remove(doing, filter, keep_children)
    else:
        act(ACTIONS["delete_alone" if keep_children else "delete"], doing, filter)


def modify(
    doing: Doing,
    filter: Filter,
    new_tag: Annotated[str | None, typer.Option(help="New compute tag.")] = None,
    new_priority: Annotated[str | None, typer.Option(help="low, normal or high.")] = None,
) -> None:
    """Change tag or priority."""
    if new_tag is None and new_priority is None:
        raise typer.BadParameter("give a --new-tag, a --new-priority or both")
    priority = None if new_priority is None else priority_of(new_priority, "--new-priority")
    act(ACTIONS["modify"], doing, filter, new_tag=new_tag, new_priority=priority)


def priority_of(text: str, option: str = "--priority") -> PriorityEnum:
    """The priority of this name.

    Raises:
        typer.BadParameter: there is none.
    """
    try:
        return PriorityEnum.of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def comment(
    doing: Doing, filter: Filter, text: Annotated[str, typer.Option("--text", "-m", help="What to write.")]
) -> None:
    """Write a comment on records."""
    act(ACTIONS["comment"], doing, filter, comment=text)


def act(action: Action, doing: Doing, filter: Filter, **changes: Any) -> None:
    """Do something to records, after a look at them where they are not named or would be gone for good.

    Raises:
        typer.Exit: always, as it went.
    """
    which = _which(doing, filter)
    with connect(doing.address) as client:
        preview = client.preview(action.name, **changes, **which)
        if doing.dry_run:
            telling.preview(preview, doing.as_json)
            raise typer.Exit
        if not doing.ids or action.effect is Effect.remove:
            if not (doing.yes and doing.as_json):
                printing.tell(str(preview))
            if preview.count:
                confirm(f"{action.name} {printing.many(preview.count, 'record')}?", doing.yes)
        outcome = Outcome()
        if preview.count:
            # Records that are named are these and no others, however many of them it applies to by now.
            tolerance = 1 if doing.ids else doing.tolerance
            outcome = Outcome(preview.apply(doing.reason, tolerance, wait=not doing.no_wait))
        if doing.ids:
            _find_refused(client, action, doing.ids, outcome)
    telling.outcome(outcome, doing.as_json)


def _which(doing: Doing, filter: Filter) -> Mapping[str, Any]:
    by_filter = filter.given()
    if bool(doing.ids) == bool(by_filter):
        raise typer.BadParameter(
            "name records by their ids, or say which ones by options such as --status, not both", param_hint="ID…"
        )
    return by_filter or {"record_id": doing.ids}


def _find_refused(client: PortalClient, action: Action, ids: list[int], outcome: Outcome) -> None:
    """Which of the records that were named did not change, and why."""
    if outcome.running:
        return
    moved = {move.record_id for move in outcome.operation.moves()} if outcome.operation else set()
    left = [i for i in dict.fromkeys(ids) if i not in moved]
    standing = zip(left, client.get_records(left, missing_ok=True), strict=True)
    for record_id, record in standing:
        if record is None:
            outcome.refuse(record_id, "does not exist")
        elif record.status not in action.sources:
            outcome.refuse(record_id, f"is {record.status.value}, so {action.name} does not apply")
        elif action.effect is Effect.remove:
            outcome.refuse(record_id, "is still referred to")
        elif action.effect is not Effect.none:  # which moves nothing
            outcome.refuse(record_id, f"is {record.status.value}, and {action.name} changes nothing about it")


def _remove(doing: Doing, filter: Filter, keep_children: bool) -> None:
    """Remove records for good without deleting them before; the protocol's own request, which keeps no reason."""
    if filter.given() or not doing.ids:
        raise typer.BadParameter(
            "name records by their ids; to remove what fits a filter: delete it, then purge it", param_hint="--for-good"
        )
    if doing.reason is not None:
        raise typer.BadParameter("no reason is kept with --for-good; delete and purge keep one", param_hint="--reason")
    with connect(doing.address) as client:
        there = client.count_records(record_id=doing.ids)
        if doing.dry_run:
            telling.counts(there, doing.as_json)
            raise typer.Exit
        confirm(f"remove {printing.many(there.total, 'record')} for good?", doing.yes)
        answer = client.delete_records(doing.ids, soft_delete=False, delete_children=not keep_children)
    outcome = Outcome(changed=len(answer.deleted_idx), relatives=answer.n_children_deleted)
    for i, _ in answer.errors:
        outcome.refuse(doing.ids[i], "is still referred to")
    telling.outcome(outcome, doing.as_json)
