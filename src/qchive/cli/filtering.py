"""Which records a command is about: the options of the one filter language, `qchive.api.records.Selection`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from qchive.cli.options import Options
from qchive.diagnosis import ErrorClass
from qchive.status import RecordStatusEnum

PANEL = "Which records"
"""Under which heading help shows the options."""


def moment(text: str) -> datetime:
    """A time as a person writes it: without a zone it is that of this machine.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00") from None


def _kind(text: str) -> str:
    from qchive.kinds import KINDS

    if text not in KINDS:
        raise typer.BadParameter(f"there is no kind {text!r}: there are {', '.join(KINDS)}")
    return text


def _option(name: str, said: str, **more: Any) -> Any:
    return typer.Option(name, help=said, show_default=False, rich_help_panel=PANEL, **more)


def _time(name: str, said: str) -> Any:
    return _option(name, said, parser=moment, metavar="TIME")


Texts = list[str] | None
Numbers = list[int] | None
Time = datetime | None


class Filter(Options, frozen=True, kw_only=True):
    """Options by the field of `Selection` that they fill. Given several times, one means "any of these"; different ones
    must all fit."""

    status: Annotated[list[RecordStatusEnum] | None, _option("--status", "How it stands.")] = None
    record_type: Annotated[Texts, _option("--kind", "singlepoint, optimization …", parser=_kind, metavar="KIND")] = None
    program: Annotated[Texts, _option("--program", "That computes energies, also behind an optimizer.")] = None
    driver: Annotated[Texts, _option("--driver", "energy, gradient, hessian or properties.")] = None
    method: Annotated[Texts, _option("--method", "Level of theory.")] = None
    basis: Annotated[Texts, _option("--basis", "Basis set; '' for none.")] = None
    compute_tag: Annotated[Texts, _option("--tag", "Compute tag.")] = None
    manager_name: Annotated[Texts, _option("--worker", "Full name of the worker that has it, or had it last.")] = None
    history_manager_name: Annotated[Texts, _option("--any-worker", "Of a worker that returned something for it.")] = (
        None
    )
    creator_user: Annotated[Texts, _option("--creator", "Who added it.")] = None
    owner_user: Annotated[Texts, _option("--owner", "Whom it belongs to.")] = None
    error_class: Annotated[
        list[ErrorClass] | None, _option("--error-class", "What kind of trouble its last attempt ended with.")
    ] = None
    error_type: Annotated[Texts, _option("--error-type", "Of the last attempt: convergence_error …")] = None
    error_text: Annotated[Texts, _option("--error-text", "Part of the last attempt's error message.")] = None
    fingerprint: Annotated[
        Texts, _option("--fingerprint", "Of the last attempt's error, as `qchive errors` shows it.")
    ] = None
    created_after: Annotated[Time, _time("--created-after", "As 2026-01-31 or 2026-01-31T12:00.")] = None
    created_before: Annotated[Time, _time("--created-before", "As --created-after.")] = None
    modified_after: Annotated[Time, _time("--modified-after", "When its status last changed.")] = None
    modified_before: Annotated[Time, _time("--modified-before", "As --modified-after.")] = None
    parent_id: Annotated[Numbers, _option("--parent", "Id of a record that it is a part of.")] = None
    child_id: Annotated[Numbers, _option("--child", "Id of a record that is a part of it.")] = None
    dataset_id: Annotated[Numbers, _option("--dataset", "Id of a dataset that it belongs to.")] = None
    project_id: Annotated[Numbers, _option("--project", "Id of a project that it belongs to.")] = None
    record_id: Annotated[Numbers, _option("--id", "Its own id.")] = None

    def given(self) -> dict[str, Any]:
        """What was typed, as `query_records` and `preview` of the client take it."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}
