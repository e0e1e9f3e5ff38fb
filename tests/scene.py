"""A composite record, and all who have to do with it."""

from __future__ import annotations

from typing import Any

from tests.acting import do, new_tag
from tests.factories import (
    OPTIMIZATION,
    SPEC,
    Http,
    Manager,
    claim_and_return,
    failure,
    make_molecule,
    make_result,
    sql,
)
from tests.ticking import tick
from tests.toys import TOYS, build, children, climb


class Scene:
    """A composite record, its manager, and upkeep that works when it is told to."""

    def __init__(self, api: Http, conninfo: str, kind: str) -> None:
        self.api, self.conninfo, self.kind, self.tag = api, conninfo, kind, new_tag()
        self.manager = Manager(api, tags=[self.tag])
        self.id = self.add()

    def add(self, **more: Any) -> int:
        """One more of the same kind."""
        more = {"compute_tag": self.tag, "compute_priority": 2, **more}
        if self.kind == "stairs":
            return climb(self.api, 2, **more)
        if self.kind == "towers":
            return build(self.api, **more)
        molecules = more.pop("molecules", None) or [make_molecule(), make_molecule()]
        body = {
            "specification": {"singlepoint_specification": SPEC, "optimization_specification": OPTIMIZATION},
            "stoichiometries": [[[n + 1.0, m] for n, m in enumerate(molecules)]],
            **more,
        }
        _, (record_id,) = self.api.post("records/reaction/bulkCreate", body)
        return int(record_id)

    def tick(self) -> int:
        return tick(self.conninfo, TOYS)

    def do(self, action: str, *ids: int, **more: Any) -> dict[str, Any]:
        return do(self.api, action, *(ids or (self.id,)), **more)

    @property
    def status(self) -> str | None:
        return self.statuses(self.id)[0]

    def statuses(self, *ids: int) -> list[str | None]:
        return self.api.statuses(ids)

    @property
    def current(self) -> list[int]:
        """What it waits for, or waited for last."""
        return children(self.api, self.id)

    @property
    def children(self) -> list[int]:
        """All its children, and theirs."""
        query = """
            WITH RECURSIVE below (id) AS (
                SELECT child_id FROM record_child WHERE parent_id = %s
                UNION SELECT c.child_id FROM record_child c JOIN below ON c.parent_id = below.id
            )
            SELECT id FROM below ORDER BY id
        """
        return [i for (i,) in sql(self.conninfo, query, self.id)]

    @property
    def outcomes(self) -> list[str]:
        """How its attempts ended."""
        query = "SELECT outcome FROM attempt WHERE record_id = %s ORDER BY attempt_no"
        return [outcome for (outcome,) in sql(self.conninfo, query, self.id)]

    def has_flow(self) -> bool:
        return sql(self.conninfo, "SELECT count(*) FROM flow WHERE record_id = %s", self.id) == [(1,)]

    def start(self) -> None:
        """It runs, and some of its children are done, if it has several at once."""
        self.tick()
        tasks = self.manager.claim()
        if len(tasks) > 1:
            self.manager.give_one(tasks[0]["id"], make_result(tasks[0]))
        self.free()

    def free(self) -> None:
        """Let what is claimed wait again."""
        self.manager.beat("inactive")
        self.manager = Manager(self.api, tags=[self.tag])

    def fail(self) -> None:
        """It and its open children fail."""
        self.tick()
        while tasks := self.manager.claim():
            self.manager.give({t["id"]: failure() for t in tasks})
            self.tick()
        assert self.status == "error"

    def finish(self) -> None:
        """It runs to its end."""
        for _ in range(20):
            if not self.tick() and not claim_and_return(self.manager):
                break
        assert self.status == "complete"
        assert not self.has_flow()

    def bring_to(self, status: str) -> None:
        """Make it have a status."""
        if status in ("running", "error", "complete", "invalid"):
            self.start()
        if status == "error":
            self.fail()
        if status in ("complete", "invalid"):
            self.finish()
        if status in ("cancelled", "invalid"):
            self.do({"cancelled": "cancel", "invalid": "invalidate"}[status])
        assert self.status == status

    def at_rest(self) -> bool:
        """Nothing is left to be noticed, no attempt is open of what does not run, nothing finished has a flow."""
        queries = (
            """SELECT r.id FROM flow f JOIN record r ON r.id = f.record_id
               WHERE NOT f.ready AND r.status IN ('waiting', 'running') AND NOT EXISTS (
                   SELECT FROM record_child c JOIN record x ON x.id = c.child_id
                   WHERE c.parent_id = r.id AND c.batch = f.batch AND x.status IN ('waiting', 'running'))""",
            """SELECT r.id FROM attempt a JOIN record r ON r.id = a.record_id
               WHERE a.outcome = 'running' AND (r.status <> 'running' OR a.attempt_no <> r.attempt_no)""",
            "SELECT r.id FROM flow f JOIN record r ON r.id = f.record_id WHERE 'complete' IN (r.status, r.stack[1])",
        )
        return [sql(self.conninfo, query) for query in queries] == [[], [], []]
