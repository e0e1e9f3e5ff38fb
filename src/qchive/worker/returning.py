"""Handing finished results to the server, and finding out which one it is about when it takes none."""

from __future__ import annotations

import logging

from qchive.api.managers import ManagerName
from qchive.errors import QCHiveError
from qchive.worker import failure
from qchive.worker.executors.executor import Finished
from qchive.worker.pack import pack
from qchive.worker.server import Server, is_final, is_stumbling, is_too_large, is_unknown_to
from qchive.worker.spool import Spool, Waiting

log = logging.getLogger("qchive.worker")

_BATCH = 32 << 20
"""Bytes of results in one request, unless a single one is larger."""
_SMALL = 1 << 16
"""Bytes. A server that finds less than this too large will not take a note that says so either."""


class Returning:
    """Returns what is in the spool, in requests that the server is willing to read."""

    def __init__(self, spool: Spool, server: Server) -> None:
        self._spool = spool
        self._server = server

    def next_batch(self) -> list[Waiting]:
        """The results that have waited longest and can travel together: of one manager name, not too many, not too
        large. Empty when there are none."""
        batch: list[Waiting] = []
        size = 0
        for one in self._spool.waiting():
            size += one.size
            if batch and (one.claimed_as != batch[0].claimed_as or size > _BATCH):
                break
            batch.append(one)
            if len(batch) >= self._server.rules.most_returned:
                break
        return batch

    def send(self, batch: list[Waiting], present_name: ManagerName) -> None:
        """Return these results. What the server accepts or rejects leaves the spool.

        Raises:
            QCHiveError: the server cannot be reached or is in trouble; or it does not know `present_name` any more.
        """
        results = self._spool.results(one.task_id for one in batch)
        if not results:
            return
        try:
            answer = self._server.give_back(batch[0].claimed_as, results)
        except QCHiveError as error:
            if is_unknown_to(error) and batch[0].claimed_as == present_name:
                raise  # the worker activates anew; by the next try, this is a name of the past
            if is_unknown_to(error) or is_final(error):
                self._not_taken(batch, present_name, error)
                return
            self._isolate(batch, present_name, error)
            return
        for task_id, why in answer.rejected_info:
            log.warning("The result of task %d was refused: %s", task_id, why)
        settled = set(results) & {*answer.accepted_ids, *answer.rejected_ids}
        self._spool.confirmed(settled)
        self._spool.postpone(set(results) - settled)
        if not settled:
            raise QCHiveError(f"The server took no result: {answer.error_description or 'it does not say why'}")

    def _isolate(self, batch: list[Waiting], present_name: ManagerName, error: QCHiveError) -> None:
        """The server stumbles, perhaps over one result only: send the others without it, and that one last."""
        if not is_stumbling(error):
            raise error
        if len(batch) == 1:
            self._spool.postpone([batch[0].task_id])
            raise error
        for one in batch:
            try:
                self.send([one], present_name)
            except QCHiveError as again:
                if not is_stumbling(again):
                    raise
                error = again
        raise error

    def _not_taken(self, batch: list[Waiting], present_name: ManagerName, error: QCHiveError) -> None:
        """The server will never take this request as a whole."""
        if len(batch) > 1 and not is_unknown_to(error):
            middle = len(batch) // 2
            self.send(batch[:middle], present_name)
            self.send(batch[middle:], present_name)
            return
        for one in batch:
            self._spool.set_aside(one.task_id, error.msg)
            if is_too_large(error) and one.size > _SMALL:
                self._say_too_large(one, error)

    def _say_too_large(self, one: Waiting, error: QCHiveError) -> None:
        """Return a failure in its place, so that the record does not stay in the air."""
        text = f"The computation finished, but its result of {one.size} bytes is too large for the server: {error.msg}"
        result = pack(failure.failed(failure.UNUSABLE, text))
        self._spool.put(
            Finished(task_id=one.task_id, claimed_as=one.claimed_as, success=False, result=result, wall_time=0.0)
        )
