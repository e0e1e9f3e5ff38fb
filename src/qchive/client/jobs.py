"""Internal jobs of the server: looking at them, waiting for them, cancelling and removing them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from operator import index
from typing import Any

from qchive.api import jobs
from qchive.api.jobs import InternalJobStatusEnum
from qchive.client.given import filters, without_nothing
from qchive.client.iterators import InternalJobQueryIterator
from qchive.client.progress import Bar
from qchive.client.session import Session


class InternalJob:
    """A job of the server as it stood when it was asked for; `refresh()` asks again.

    Beside those below, a job has `id`, `name`, `status`, `added_date`, `scheduled_date`, `started_date`,
    `last_updated`, `ended_date`, `runner_hostname`, `runner_uuid`, `repeat_delay`, `serial_group`, `progress`,
    `progress_description`, `function`, `kwargs`, `result` and `user`.
    """

    def __init__(self, document: jobs.Job, client: JobCalls) -> None:
        self._document = document
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name not in jobs.Job.__struct_fields__:
            raise AttributeError(f"an internal job has no {name}")
        return getattr(self._document, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *jobs.Job.__struct_fields__]

    def __repr__(self) -> str:
        job = self._document
        return f"<{type(self).__name__} id={job.id} name={job.name!r} status={job.status.value} {job.progress} %>"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self._document.status.is_over

    @property
    def duration(self) -> timedelta:
        """How long it has been running, or ran."""
        job = self._document
        if job.started_date is None:
            return timedelta()
        return (job.ended_date or datetime.now(UTC)) - job.started_date

    @property
    def duration_str(self) -> str:
        """The same as text, as h:mm:ss."""
        return str(timedelta(seconds=round(self.duration.total_seconds())))

    def refresh(self) -> None:
        """Ask the server how it stands now.

        Raises:
            NotFound: it was removed.
        """
        self._document = self._client.connection.ask(jobs.GET, job_id=self._document.id)

    def watch(self, interval: float = 2.0, timeout: float | None = None) -> None:
        """Wait until it is over, with a progress bar; asks every `interval` seconds. What went wrong is printed.

        Raises:
            TimeoutError: it is not over after `timeout` seconds.
            NotFound: it was removed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with Bar(self.name, 100) as bar:
            while not self.is_over:
                left = interval if deadline is None else min(interval, deadline - time.monotonic())
                if left < 0:
                    raise TimeoutError(f"internal job {self.id} ({self.name}) is not over after {timeout} s")
                time.sleep(left)
                self.refresh()
                bar.at(self.progress, self.progress_description)
        if self.status is InternalJobStatusEnum.error:
            print(f"Internal job {self.id} ({self.name}) failed: {self.result}")


class JobCalls(Session):
    """Look after what the server does for itself. This needs the role `admin` or `maintain`, looking only `monitor`."""

    def get_internal_job(self, job_id: int) -> InternalJob:
        """One internal job.

        Raises:
            NotFound: it does not exist.
        """
        return InternalJob(self.connection.ask(jobs.GET, job_id=index(job_id)), self)

    def query_internal_jobs(self, *, limit: int | None = None, **given: Any) -> InternalJobQueryIterator:
        """Internal jobs that fit, newest first. Filters, one or several values each: `job_id`, `name`, `user`,
        `runner_hostname`, `status`; and `last_updated_before`, `last_updated_after`, `added_before`, `added_after`,
        `scheduled_before`, `scheduled_after`.

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(jobs.JobFilters, given)

        def page(size: int, cursor: int | None) -> list[InternalJob]:
            body = without_nothing(jobs.JobQuery(**wanted, limit=size, cursor=cursor))
            return [InternalJob(job, self) for job in self.connection.ask(jobs.QUERY, body=body)]

        return InternalJobQueryIterator(page, limit, self.api_limits["get_internal_jobs"] // 4)

    def cancel_internal_job(self, job_id: int) -> None:
        """Cancel an internal job: at once if it waits, at its next check point if it runs. One that is over, or does
        not exist, stays as it is."""
        self.connection.ask(jobs.SET_STATUS, body=InternalJobStatusEnum.cancelled, job_id=index(job_id))

    def delete_internal_job(self, job_id: int) -> None:
        """Remove an internal job, if it exists; one that runs is stopped."""
        self.connection.ask(jobs.DELETE, job_id=index(job_id))
