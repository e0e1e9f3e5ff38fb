"""What people do to records that are there: the moves of `qchive.status`, tags, priorities, comments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qchive.api import records
from qchive.api.metadata import DeleteMetadata, UpdateMetadata
from qchive.client.given import as_ids, without_nothing
from qchive.client.session import Session
from qchive.status import ACTIONS, PriorityEnum

Ids = int | Iterable[int]


def new_queue(
    compute_tag: str | None,
    compute_priority: PriorityEnum | str | int | None,
    tag: str | None,
    priority: PriorityEnum | str | int | None,
) -> dict[str, Any]:
    """A new tag and a new priority, under their present or their shorter names, as requests carry them.

    Raises:
        ValueError: there is no such priority.
    """
    new_tag = tag if compute_tag is None else compute_tag
    new_priority = priority if compute_priority is None else compute_priority
    given = {} if new_tag is None else {"compute_tag": new_tag}
    return given if new_priority is None else given | {"compute_priority": PriorityEnum.of(new_priority).value}


class ActionCalls(Session):
    """Change records. `record_ids` is one id or any collection; the answer says which positions of it changed, which
    did not and why, and how many relatives moved with them. A `reason` is kept with the operation (QCHive only)."""

    def reset_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Run failed records again."""
        return self._move("reset", record_ids, reason)

    def cancel_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Stop records that have not finished."""
        return self._move("cancel", record_ids, reason)

    def uncancel_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Take a cancellation back."""
        return self._move("uncancel", record_ids, reason)

    def invalidate_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Mark finished records as not to be trusted."""
        return self._move("invalidate", record_ids, reason)

    def uninvalidate_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Trust records again."""
        return self._move("uninvalidate", record_ids, reason)

    def undelete_records(self, record_ids: Ids, *, reason: str | None = None) -> UpdateMetadata:
        """Bring deleted records back."""
        return self._move("undelete", record_ids, reason)

    def delete_records(
        self,
        record_ids: Ids,
        soft_delete: bool = True,
        delete_children: bool = True,
        *,
        reason: str | None = None,
    ) -> DeleteMetadata:
        """Mark records as deleted (they can be brought back), or with `soft_delete=False` remove them for good."""
        ids = as_ids(record_ids)
        if not ids:
            return DeleteMetadata()
        body = records.RecordDelete(
            record_ids=ids, soft_delete=soft_delete, delete_children=delete_children, reason=reason
        )
        metadata: DeleteMetadata = self.connection.ask(records.BULK_DELETE, body=without_nothing(body))
        return metadata

    def modify_records(
        self,
        record_ids: Ids,
        new_compute_tag: str | None = None,
        new_compute_priority: PriorityEnum | str | int | None = None,
        *,
        new_tag: str | None = None,
        new_priority: PriorityEnum | str | int | None = None,
        reason: str | None = None,
    ) -> UpdateMetadata:
        """Change the tag or the priority (`low`, `normal`, `high`) of what still has to run.

        `new_tag` and `new_priority` are shorter names of the same.
        """
        change = new_queue(new_compute_tag, new_compute_priority, new_tag, new_priority)
        return self._modify(record_ids, **change, reason=reason) if change else UpdateMetadata()

    def add_comment(self, record_ids: Ids, comment: str) -> UpdateMetadata:
        """Write something on records."""
        return self._modify(record_ids, comment=comment)

    def get_waiting_reason(self, record_id: int) -> dict[str, Any]:
        """Why a record waits: `reason`, under `details` what each active manager says to it, `hint` what to do."""
        answer = self.connection.ask(records.WAITING_REASON, record_id=int(record_id))
        parts = {name: getattr(answer, name) for name in answer.__struct_fields__}
        return {name: value for name, value in parts.items() if value is not None}

    def _move(self, name: str, record_ids: Ids, reason: str | None) -> UpdateMetadata:
        action = ACTIONS[name]
        if action.target is not None:
            return self._modify(record_ids, status=action.target, reason=reason)
        ids = as_ids(record_ids)
        if not ids:
            return UpdateMetadata()
        (status,) = action.sources
        body = records.RecordRevert(record_ids=ids, revert_status=status, reason=reason)
        metadata: UpdateMetadata = self.connection.ask(records.REVERT, body=without_nothing(body))
        return metadata

    def _modify(self, record_ids: Ids, **change: Any) -> UpdateMetadata:
        ids = as_ids(record_ids)
        if not ids:
            return UpdateMetadata()
        body = without_nothing(records.RecordModify(record_ids=ids, **change))
        metadata: UpdateMetadata = self.connection.ask(records.MODIFY, body=body)
        return metadata
