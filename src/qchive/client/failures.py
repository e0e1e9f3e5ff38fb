"""What went wrong, over many records."""

from __future__ import annotations

from typing import Any

from qchive.api import failures
from qchive.client.given import filters
from qchive.client.session import Session


class FailureCalls(Session):
    """Failed records by what went wrong."""

    def error_summary(self, **given: Any) -> list[failures.ErrorGroup]:
        """Records in error grouped by what went wrong, the most frequent first.

        Filters are those of `query_records`, such as `error_class`, `error_text`, `program` or `compute_tag`. `limit`
        is how many groups at most (50). Each group has a `fingerprint`, which is a filter itself, its `error_class`,
        `error_type`, an example `message`, `program`, `count`, a few `record_ids`, `first_seen` and `last_seen`.

        Raises:
            TypeError: a filter that does not exist.
        """
        body = filters(failures.ErrorQuery, given, single=("limit",))
        found: list[failures.ErrorGroup] = self.connection.ask(failures.ERRORS, body=body)
        return found
