"""The sessions of the user's guide to managing records, as it prints them, and an archive that holds its records.

They are one story, told with the guide's own ids. The guide leaves out what its reader does in between (taking a
cancellation and an invalidation back), and the newer names of tag and priority: these are added in its manner.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.accounts import PASSWORD, as_user, secure
from tests.archive import prepared, running
from tests.factories import Http, Manager, add, failure, http, optimization, sql, unpacked

STEPS = 5
"""Of the optimization 149."""

STORY = """
Resetting errored records

>>> r = client.get_records(411)
>>> print(r.status)
RecordStatusEnum.error
>>> meta = client.reset_records(411) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(411)
>>> print(r.status)
RecordStatusEnum.waiting

Deleting records

>>> r = client.get_records(149)
>>> print(r.status)
RecordStatusEnum.complete
>>> meta = client.delete_records(149, soft_delete=True) # can also take a list
>>> print(meta)
DeleteMetadata(error_description=None, errors=[], deleted_idx=[0], n_children_deleted=5)
>>> r = client.get_records(149)
>>> print(r.status)
RecordStatusEnum.deleted

>>> meta = client.undelete_records(149) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=5)

>>> meta = client.delete_records([942, 943], soft_delete=False) # can also take a list
>>> print(meta)
DeleteMetadata(error_description=None, errors=[], deleted_idx=[0, 1], n_children_deleted=0)
>>> r = client.get_records(942, missing_ok=True)
>>> print(r)
None

Cancelling records

>>> r = client.get_records(411)
>>> print(r.status)
RecordStatusEnum.waiting
>>> meta = client.cancel_records(411) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(411)
>>> print(r.status)
RecordStatusEnum.cancelled

>>> meta = client.uncancel_records(411) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(411)
>>> print(r.status)
RecordStatusEnum.waiting

Invalidating records

>>> r = client.get_records(149)
>>> print(r.status)
RecordStatusEnum.complete
>>> meta = client.invalidate_records(149) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(149)
>>> print(r.status)
RecordStatusEnum.invalid

>>> meta = client.uninvalidate_records(149) # can also take a list
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(149)
>>> print(r.status)
RecordStatusEnum.complete

Changing tag and priority

>>> r = client.get_records(941)
>>> print(r.task.tag, r.task.priority)
* PriorityEnum.normal
>>> meta = client.modify_records(941, new_tag='a_new_tag', new_priority='low')
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(941)
>>> print(r.task.tag, r.task.priority)
a_new_tag PriorityEnum.low

>>> meta = client.modify_records(941, new_compute_tag='newer', new_compute_priority='high')
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(941)
>>> print(r.task.compute_tag, r.task.compute_priority)
newer PriorityEnum.high

Adding comments

>>> meta = client.add_comment(149, 'Invalid due to convergence to wrong minimum')
>>> print(meta)
UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)
>>> r = client.get_records(149)
"""

BEN = "ben"
"""Who tells the story in the guide, where people log in."""

_COMMENTS = (
    r"\[RecordComment\(id=1, record_id=149, username=%s,"
    r" timestamp=datetime\.datetime\(\d+(?:, \d+){4,6}, tzinfo=(.*?)\),"
    r" comment='Invalid due to convergence to wrong minimum'\)\]"
)


def comments(username: str | None = None) -> re.Pattern[str]:
    """How `print(r.comments)` ends the story of somebody, or of nobody in particular: times have a zone."""
    return re.compile(_COMMENTS % re.escape(repr(username)))


_ONE_ID = re.compile(r"(client\.(?!get_)\w+)\((\d+)")


def told(client: Any, *, lists: bool = False, shown: str = "print(meta)") -> dict[str, Any]:
    """Have the client tell the story, and give what its names stand for in the end; whatever is printed differently is
    in the failure. With `lists` each action is given a list of one id; `shown` stands for the guide's `print(meta)`."""
    text = (_ONE_ID.sub(r"\1([\2]", STORY) if lists else STORY).replace("print(meta)", shown)
    names = {"client": client}
    story = doctest.DocTestParser().get_doctest(text, names, "the guide", None, 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(story, out=said.append, clear_globs=False)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted == STORY.count(">>>")
    return story.globs


@contextmanager
def archive(databases: Any) -> Iterator[Any]:
    """A running server with the guide's records: 149 an optimization that took five steps, 411 one that failed, and
    941 to 943 that wait."""
    with prepared(databases) as conninfo, running(conninfo) as server, http(server.address) as api:
        _fill(api, conninfo)
        yield server


@contextmanager
def archive_of_ben(databases: Any) -> Iterator[Any]:
    """The same where people log in, with an account for `BEN`."""
    with secure(databases) as server, as_user(server.address, "admin_user") as api:
        _fill(api, server.conninfo)
        api.post("users", [{"username": BEN, "role": "submit", "enabled": True}, PASSWORD])
        yield server


def _fill(api: Http, conninfo: str) -> None:
    _numbered(conninfo, 149)
    (path,) = add(api, kind="optimization")
    manager = Manager(api)
    (task,) = manager.claim()
    asked = unpacked(task["function_kwargs_compressed"])["input_data"]
    assert manager.give_one(task["id"], optimization(asked, steps=STEPS)) is None
    _numbered(conninfo, 411)
    (failed,) = add(api)
    (task,) = manager.claim()
    assert manager.give_one(task["id"], failure()) is None
    _numbered(conninfo, 941)
    assert [path, failed, *add(api, 3)] == [149, 411, 941, 942, 943]


def _numbered(conninfo: str, record_id: int) -> None:
    """The next record gets this id."""
    sql(conninfo, "SELECT setval(pg_get_serial_sequence('record', 'id'), %s, false)", record_id)
