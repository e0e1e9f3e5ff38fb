"""Records as people hold them: what the server sent, and the rest fetched when it is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from qchive import wire
from qchive.api import records
from qchive.api.endpoint import Endpoint
from qchive.api.records import RecordComment, RecordService
from qchive.api.rules import FollowOn
from qchive.api.tasks import RecordTask
from qchive.client import tables, views
from qchive.client.history import History
from qchive.client.outputs import ComputeHistory, NativeFile, Provenance, sent, value_of
from qchive.client.views import Progress
from qchive.errors import NothingToPlot, Offline, UnknownKind
from qchive.kinds import KINDS, Kind
from qchive.kinds.flow import View
from qchive.kinds.kind import ChildRole, Facets, Inputs
from qchive.molecule import to_qcelemental
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qchive.client.portal import PortalClient


class BaseRecord:
    """One computation: what is asked for, where it stands, and what came out.

    Attributes that the server did not send are fetched when they are first looked at. Beside those below, a record has
    what its kind declares: molecules as `<role>_id` and `<role>`, plain fields, lists of child records, and what a
    composite record shows of its children.
    """

    _ids_only: ClassVar[Mapping[str, str]] = {}
    """Views that are ids of children and nothing else → the kind of these."""

    def __init__(self, document: records.Record, client: PortalClient | None = None) -> None:
        self._document = document
        self._client = client
        self._kind = kind_of(document.record_type)
        self._relatives: dict[int, BaseRecord] = {}
        """Children that have been fetched, by id."""
        self.id: int = document.id
        self.record_type: str = document.record_type

    def __str__(self) -> str:
        return f"<{type(self).__name__} id={self.id} status={self.status!s}>"

    __repr__ = __str__

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *records.plain_fields(self._kind), *records.on_request_fields(self._kind)]

    def __getattr__(self, name: str) -> Any:
        # What the kind declares. Found values are kept in the instance, so that this is asked once for each.
        if name.startswith("_"):
            raise AttributeError(name)
        kind = self._kind
        child = next((c for c in kind.children if c.name == name), None)
        if name in records.plain_fields(kind):
            value = self._plain(name)
        elif name in kind.molecules:
            value = self._molecule(name)
        elif child is not None:
            value = self._children(child)
        elif any(view.name == name for view in kind.views):
            value = self._entries(name)
        elif name == "wavefunction" and kind.has_wavefunction:
            value = self._wavefunction()
        else:
            raise AttributeError(f"a {type(self).__name__} has no {name}")
        self.__dict__[name] = value
        return value

    # --- what every answer holds ----------------------------------------------------------------------------------

    @property
    def is_service(self) -> bool:
        """Whether the server itself makes and gathers the computations behind this record."""
        return bool(self._plain("is_service"))

    @property
    def status(self) -> RecordStatusEnum:
        """Where the record was in its life when it was fetched."""
        status: RecordStatusEnum = self._plain("status")
        return status

    @property
    def manager_name(self) -> str | None:
        """The compute manager that has it, or had it last."""
        name: str | None = self._plain("manager_name")
        return name

    @property
    def created_on(self) -> datetime:
        """When it was added."""
        moment: datetime = self._plain("created_on")
        return moment

    @property
    def modified_on(self) -> datetime:
        """When it last moved."""
        moment: datetime = self._plain("modified_on")
        return moment

    @property
    def owner_user(self) -> str | None:
        """Who it belongs to."""
        name: str | None = self._plain("owner_user")
        return name

    @property
    def creator_user(self) -> str | None:
        """Who added it; its owner, where the server does not tell them apart."""
        return self._document.creator_user if sent(self._document.creator_user) else self.owner_user  # type: ignore[return-value]

    @cached_property
    def properties(self) -> dict[str, Any] | None:
        """Computed values by name (energies in Hartree, lengths in Bohr); None until the record is complete."""
        properties: dict[str, Any] | None = value_of(self._plain("properties"))
        return properties

    @cached_property
    def extras(self) -> dict[str, Any]:
        """What else the program returned."""
        return value_of(self._plain("extras")) or {}

    @cached_property
    def specification(self) -> Any:
        """What was asked for: program, method, keywords …"""
        return wire.decode(self._plain("specification").text, self._kind.specification)

    # --- what is fetched when looked at ---------------------------------------------------------------------------

    @property
    def offline(self) -> bool:
        """Whether nothing more can be fetched."""
        return self._client is None

    @cached_property
    def compute_history(self) -> list[ComputeHistory]:
        """Attempts that returned something, the last one last."""
        return [ComputeHistory(entry, self._fetch) for entry in self._sent_or_fetched("compute_history", "history")]

    @property
    def stdout(self) -> str | None:
        """What the program printed in the last attempt."""
        return self.compute_history[-1].stdout if self.compute_history else None

    @property
    def stderr(self) -> str | None:
        """What the program printed as errors in the last attempt."""
        return self.compute_history[-1].stderr if self.compute_history else None

    @property
    def error(self) -> dict[str, Any] | None:
        """Why the last attempt failed: `error_type`, `error_message`, `extras`; None if it did not."""
        return self.compute_history[-1].error if self.compute_history else None

    @property
    def provenance(self) -> Provenance | None:
        """What computed it, in the last attempt."""
        return self.compute_history[-1].provenance if self.compute_history else None

    @cached_property
    def task(self) -> RecordTask | None:
        """What waits for a compute manager, or is being run; None when there is nothing left to run."""
        task: RecordTask | None = None if self.is_service else self._sent_or_fetched("task", "task")
        return task

    @cached_property
    def service(self) -> RecordService | None:
        """What the server keeps of a composite record that is not complete: its queue, and which children it waits for
        (`dependencies`); None for all others."""
        service: RecordService | None = self._sent_or_fetched("service", "service") if self.is_service else None
        return service

    @property
    def progress(self) -> Progress | None:
        """How far a composite record is: stage, points done and their total, lowest energy, children by status. As it
        came with the record, or else as it is now; None for all other records."""
        if not self.is_service:
            return None
        known: Any = getattr(self._document, "progress", msgspec.UNSET)
        if sent(known):
            return Progress.of(known)
        if "progress" in rows(self._kind) and self._online("progress").server_info.get("qchive_version"):
            return Progress.of(self._fetch("progress"))
        # Other servers know no more than what became of the children.
        return Progress(stage=None, children=self._fetch("children_status"))

    @cached_property
    def comments(self) -> list[RecordComment]:
        """What people wrote on it, oldest first."""
        comments: list[RecordComment] = self._sent_or_fetched("comments", "comments")
        return comments

    @cached_property
    def native_files(self) -> dict[str, NativeFile]:
        """The program's own files that were kept, by name."""
        files = self._sent_or_fetched("native_files", "native_files") or {}
        return {name: NativeFile(file, self._fetch) for name, file in files.items()}

    @property
    def children_status(self) -> dict[RecordStatusEnum, int]:
        """How many direct children have which status, now."""
        return {RecordStatusEnum(status): n for status, n in self._fetch("children_status").items()}

    @property
    def children_errors(self) -> list[BaseRecord]:
        """The direct children that failed, now."""
        found: list[BaseRecord] = self._online("children_errors").get_records(self._fetch("children_errors"))
        return found

    def get_waiting_reason(self) -> dict[str, Any]:
        """Why it waits: `reason`, and under `details` what each active manager says to it."""
        return self._online("waiting_reason").get_waiting_reason(self.id)

    def history(self) -> History:
        """All that happened to it, oldest first: attempts (lost ones too), what people did, comments."""
        return self._online("history").get_history(self.id)

    @property
    def follow_ons(self) -> list[FollowOn]:
        """What follow-on rules made of it, now: each with the name of the `rule` and the `record_id`."""
        found: list[FollowOn] = self._online("follow_ons").get_follow_ons(self.id).led_to
        return found

    @property
    def followed_from(self) -> list[FollowOn]:
        """What follow-on rules made it for, now: each with the name of the `rule` and the `source_id`."""
        found: list[FollowOn] = self._online("followed_from").get_follow_ons(self.id).came_from
        return found

    def plot(self, ax: Axes | None = None, *, axes: Sequence[int] | int | None = None) -> Figure:
        """A picture of what came out so far; notebooks show it, and its `savefig` writes it to a file.

        `ax` is where it is drawn instead of on a figure of its own. Of a scan with more than two dimensions, `axes` are
        those to show: one or two numbers, counted from 0; along the others the lowest energy counts.

        Raises:
            NothingToPlot: there is no picture of such a record, or nothing to show yet.
            ExtraMissing: matplotlib is not installed.
        """
        from qchive.client.plots import figure

        return figure(ax, lambda where: self._draw(where, axes))

    # --- how ------------------------------------------------------------------------------------------------------

    def _draw(self, ax: Axes, axes: Sequence[int] | int | None) -> None:
        raise NothingToPlot(
            f"There is no picture of a {self.record_type}; there are of optimizations, torsion drives, grid "
            "optimizations and nudged elastic bands"
        )

    def _plain(self, name: str) -> Any:
        value = getattr(self._document, name, msgspec.UNSET)
        if not sent(value):
            raise AttributeError(f"{name} was not asked for when this record was fetched")
        return value

    def _sent_or_fetched(self, name: str, endpoint: str) -> Any:
        value = getattr(self._document, name)
        return value if sent(value) else self._fetch(endpoint)

    def _online(self, what: str) -> PortalClient:
        if self._client is None:
            raise Offline(f"{what} of record {self.id} was not kept, and there is no client to fetch it with")
        return self._client

    def _fetch(self, endpoint: str, **path: Any) -> Any:
        row = rows(self._kind)[endpoint]
        return self._online(endpoint).connection.ask(row, record_id=self.id, **path)

    def _molecule(self, role: str) -> Any:
        document = getattr(self._document, role)
        if sent(document):
            return None if document is None else to_qcelemental(value_of(document))
        molecule_id = self._plain(f"{role}_id")
        return None if molecule_id is None else self._online(role).get_molecules(molecule_id)

    def _child_ids(self, child: ChildRole) -> list[int]:
        ids = getattr(self._document, child.key)
        found: list[int] = ids if sent(ids) else self._fetch(f"children/{child.name}")
        return found

    def _children(self, child: ChildRole) -> list[BaseRecord]:
        found: list[BaseRecord] = self._online(child.name).get(child.kind, self._child_ids(child))
        return found

    def _view(self, name: str) -> Any:
        """A view as the server has it, fetched once."""
        view = next(view for view in self._kind.views if view.name == name)
        known = getattr(self._document, name, msgspec.UNSET)
        if sent(known) and known is not None:
            return known
        if view.path is not None:
            known = self._fetch(f"views/{name}")
        else:
            body = {"ids": [self.id], "include": ["id", "record_type", name]}
            (found,) = self._online(name).connection.ask(rows(self._kind)["bulk_get"], body=body)
            known = getattr(found, name)
        if view.included:
            setattr(self._document, name, known)
        return known

    def _entries(self, name: str) -> Any:
        """A view as people hold it, children fetched."""
        view = next(view for view in self._kind.views if view.name == name)
        return views.shown(view, self._view(name), self._related(self._links(view)))

    def _links(self, view: View) -> list[tuple[str, int]]:
        """The children that a view names: kinds and ids."""
        return views.links(view, self._view(view.name), self._ids_only.get(view.name))

    def _related(self, wanted: Iterable[tuple[str, int]]) -> Mapping[int, BaseRecord]:
        """These children among others, those that are missing fetched with one request for each kind."""
        missing: dict[str, dict[int, None]] = {}
        for kind, i in wanted:
            if i not in self._relatives:
                missing.setdefault(kind, {})[i] = None
        for kind, ids in missing.items():
            found = self._online("children").get(kind, list(ids))
            self._relatives.update((record.id, record) for record in found)
        return self._relatives

    def _wavefunction(self) -> Any:
        document = self._document.wavefunction  # type: ignore[attr-defined]
        if not sent(document):
            document = self._fetch("wavefunction")
        if document is None:
            return None
        packed, compression = document.data, document.compression_type
        if not sent(packed):
            packed, compression = self._fetch("wavefunction_data")
        from qchive.client.qcschema import wavefunction

        return wavefunction(wire.decompress(packed.data, compression))

    def _repr_html_(self) -> str:
        return tables.facts(f"{type(self).__name__} {self.id}", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        """What a person wants to see at a glance."""
        facts = [("status", self.status.value)]
        facts += [(name, str(value)) for name, value in _asked(self._kind, self.specification) if value]
        energy = (self.properties or {}).get("return_energy")
        facts += [("energy", f"{energy:.10f} Eh")] if isinstance(energy, float) else []
        facts += [("manager", self.manager_name)] if self.manager_name else []
        facts += self._progress_facts()
        facts += [(name, f"{moment:%Y-%m-%d %H:%M:%S %Z}") for name, moment in self._times()]
        return facts

    def _progress_facts(self) -> list[tuple[str, str]]:
        ended = self.status not in (RecordStatusEnum.waiting, RecordStatusEnum.running, RecordStatusEnum.error)
        if ended or (self.offline and not sent(getattr(self._document, "progress", msgspec.UNSET))):
            return []
        progress = self.progress
        return [] if progress is None else progress.facts()

    def _times(self) -> tuple[tuple[str, datetime], ...]:
        return ("created", self.created_on), ("modified", self.modified_on)


def kind_of(record_type: str) -> Kind:
    """The kind of a record, also of one that only the server knows: it has what all records have."""
    return KINDS.get(record_type) or _foreign(record_type)


@cache
def _foreign(record_type: str) -> Kind:
    def impossible(*_: Any) -> Any:
        raise UnknownKind(f"A newer QCHive is needed to compute a {record_type}", kind=record_type)

    return Kind(
        name=record_type,
        specification=dict,  # type: ignore[arg-type]
        inputs=Inputs("inputs", Any, impossible),
        facets=lambda spec: Facets(str(spec.get("program", ""))),
        filters={},
        programs=impossible,
        task=impossible,
        outcome=impossible,
        molecules=(),
    )


@cache
def rows(kind: Kind) -> dict[str, Endpoint]:
    """The endpoints of a kind by verb; its lists of children as `children/<name>`, its views as `views/<name>`."""
    found: dict[str, Endpoint] = {}
    for row in records.for_kind(kind):
        verb = row.name.removeprefix("records.")
        group = {"children": "children/", "view": "views/"}.get(verb)
        found[verb if group is None else f"{group}{row.role}"] = row
    return found


def _asked(kind: Kind, specification: Any) -> Sequence[tuple[str, Any]]:
    facets = kind.facets(specification)
    inner = facets.qc_program if facets.qc_program != facets.program else None
    return (
        ("program", facets.program),
        ("optimizer", facets.optimizer),
        ("computed with", inner),
        ("driver", facets.driver),
        ("method", facets.method),
        ("basis", facets.basis),
    )
