"""What a server has noted of itself: accesses, errors, and what was computed on each day."""

from __future__ import annotations

from datetime import datetime

import msgspec

from qchive.api import about, logs
from qchive.api.logs import AccessLogEntry, AccessLogSummaryEntry, ErrorLogEntry, GroupByEnum, ServerStatsEntry
from qchive.client.given import filters, without_nothing
from qchive.client.iterators import AccessLogQueryIterator, ErrorLogQueryIterator
from qchive.client.session import Session

Time = datetime | str
"""A time; as text it is ISO 8601. Without a zone it is UTC."""


class LogCalls(Session):
    """See how a server is doing. This needs the role `admin` or `maintain`, looking only `monitor`; everybody may see
    statistics and the message of the day."""

    def query_access_log(self, *, limit: int | None = None, **given: object) -> AccessLogQueryIterator:
        """Requests that the server noted (its setting `log_access`), newest first. Filters, one or several values each:
        `module`, `method`, `user`; and `before`, `after`.

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(logs.AccessLogFilters, given)
        # Other servers of this protocol do not have all that ours notes.
        include = ["**"] if self.server_info.get("qchive_version") else None

        def page(size: int, cursor: int | None) -> list[AccessLogEntry]:
            body = without_nothing(logs.AccessLogQuery(**wanted, limit=size, cursor=cursor, include=include))
            found: list[AccessLogEntry] = self.connection.ask(logs.ACCESS_QUERY, body=body)
            return found

        return AccessLogQueryIterator(page, limit, self.api_limits["get_access_logs"] // 4)

    def query_access_summary(
        self, group_by: str = "day", *, before: Time | None = None, after: Time | None = None
    ) -> dict[str, list[AccessLogSummaryEntry]]:
        """How many requests there were, how long they took and how large the answers were, by `user`, `day`, `hour`,
        `country` or `subdivision`, and within that by module and method."""
        wanted = filters(logs.AccessLogSummaryQuery, {"before": before, "after": after})
        query = msgspec.to_builtins(logs.AccessLogSummaryQuery(group_by=GroupByEnum(group_by), **wanted))
        given = {name: value for name, value in query.items() if value is not None}
        found: dict[str, list[AccessLogSummaryEntry]] = self.connection.ask(logs.ACCESS_SUMMARY, query=given)
        return found

    def delete_access_log(self, before: Time) -> int:
        """Remove what was noted of requests before a time; how many there were."""
        return int(self.connection.ask(logs.ACCESS_DELETE, body=filters(logs.Before, {"before": before})))

    def query_error_log(self, *, limit: int | None = None, **given: object) -> ErrorLogQueryIterator:
        """Errors of the server that nobody foresaw, newest first. Filters, one or several values each: `error_id` (as
        the error named it), `user`; and `before`, `after`.

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(logs.ErrorLogQuery, given)

        def page(size: int, cursor: int | None) -> list[ErrorLogEntry]:
            body = without_nothing(logs.ErrorLogQuery(**wanted, limit=size, cursor=cursor))
            found: list[ErrorLogEntry] = self.connection.ask(logs.ERROR_QUERY, body=body)
            return found

        return ErrorLogQueryIterator(page, limit, self.api_limits["get_error_logs"] // 4)

    def delete_error_log(self, before: Time) -> int:
        """Remove errors from before a time; how many there were."""
        return int(self.connection.ask(logs.ERROR_DELETE, body=filters(logs.Before, {"before": before})))

    def get_server_stats(self) -> list[ServerStatsEntry]:
        """What was computed on each day, the first one first."""
        found: list[ServerStatsEntry] = self.connection.ask(logs.STATISTICS)
        return found

    def get_motd(self) -> str:
        """The message of the day."""
        return str(self.connection.ask(about.MOTD))

    def set_motd(self, new_motd: str) -> None:
        """Change the message of the day, which clients show when they connect; an empty one is none. This needs the
        role `admin` or `maintain`."""
        self.connection.ask(about.SET_MOTD, body=new_motd)
