"""From a filter to a WHERE clause: the only SQL that Python composes.

Every filter of every query has one fragment here; a test compares them with the filters' structs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from qchive.db.specifications import searchable
from qchive.kinds import Kind
from qchive.status import UNFINISHED, Action
from qchive.wire import utc

# Accounts by name or by id, which are never confused: no name is all digits.
_BY = (
    "ANY(ARRAY(SELECT coalesce(a.username, t.name) FROM unnest(%({0})b::text[]) AS t (name)"
    " LEFT JOIN account a ON a.id = CASE WHEN t.name ~ '^[0-9]{{1,18}}$' THEN t.name::bigint END))"
)
_RECORD = {
    "record_id": "r.id = ANY(%({0})b::bigint[])",
    "record_type": "r.kind = ANY(%({0})b::text[])",
    "manager_name": "r.worker_id IN (SELECT id FROM worker WHERE name = ANY(%({0})b::text[]))",
    "history_manager_name": "r.id IN (SELECT a.record_id FROM attempt a JOIN worker w ON w.id = a.worker_id"
    " WHERE w.name = ANY(%({0})b::text[]) AND a.outcome IN ('complete', 'error'))",
    "status": "r.status = ANY(%({0})b::text[]::record_status[])",
    "dataset_id": "false",
    "project_id": "false",
    "parent_id": "r.id IN (SELECT child_id FROM record_child WHERE parent_id = ANY(%({0})b::bigint[]))",
    "child_id": "r.id IN (SELECT parent_id FROM record_child WHERE child_id = ANY(%({0})b::bigint[]))",
    "compute_tag": "r.tag = ANY(%({0})b::text[])",
    "created_before": "r.created_on <= %({0})b",
    "created_after": "r.created_on >= %({0})b",
    "modified_before": "r.modified_on <= %({0})b",
    "modified_after": "r.modified_on >= %({0})b",
    "owner_user": f"r.owner = {_BY}",
    "creator_user": f"r.owner = {_BY}",
}
_SPECIFICATION = {
    "program": "qc_program = ANY(%({0})b::text[])",
    "driver": "driver = ANY(%({0})b::text[])",
    "method": "method = ANY(%({0})b::text[])",
    "basis": "coalesce(basis, '') = ANY(%({0})b::text[])",
}
_ERROR = {
    "error_class": "a.error_class = ANY(%({0})b::text[])",
    "error_type": "a.error_type = ANY(%({0})b::text[])",
    "error_text": "EXISTS (SELECT FROM unnest(%({0})b::text[]) AS t (part)"
    " WHERE strpos(lower(a.error_message), lower(part)) > 0)",
    "fingerprint": "a.fingerprint = ANY(%({0})b::text[])",
}
_MOLECULE = {
    "molecule_id": "id = ANY(%({0})b::bigint[])",
    "molecule_hash": "hash = ANY(%({0})b::bytea[])",
    "molecular_formula": "formula = ANY(%({0})b::text[])",
    "identifiers": "",
}
_MANAGER = {
    "manager_id": "id = ANY(%({0})b::bigint[])",
    "name": "name = ANY(%({0})b::text[])",
    "cluster": "cluster = ANY(%({0})b::text[])",
    "hostname": "hostname = ANY(%({0})b::text[])",
    "status": "(CASE WHEN active THEN 'active' ELSE 'inactive' END) = ANY(%({0})b::text[])",
    "modified_before": "modified_on < %({0})b",
    "modified_after": "modified_on > %({0})b",
}
_OPERATION = {
    "action": "action = ANY(%({0})b::text[])",
    "username": f"username = {_BY}",
    "record_id": "id IN (SELECT operation_id FROM move WHERE move.record_id = ANY(%({0})b::bigint[])"
    " UNION ALL SELECT operation_id FROM comment WHERE comment.record_id = ANY(%({0})b::bigint[]))",
    "before": "time <= %({0})b",
    "after": "time >= %({0})b",
}
_RULE = {
    "name": "name = ANY(%({0})b::text[])",
    "owner_user": f"owner = {_BY}",
    "enabled": "enabled = %({0})b",
}
_JOB = {
    "job_id": "id = ANY(%({0})b::bigint[])",
    "name": "name = ANY(%({0})b::text[])",
    "user": f"username = {_BY}",
    "runner_hostname": "runner_hostname = ANY(%({0})b::text[])",
    "status": "status = ANY(%({0})b::text[]::job_status[])",
    "last_updated_before": "last_updated < %({0})b",
    "last_updated_after": "last_updated > %({0})b",
    "added_before": "added_date < %({0})b",
    "added_after": "added_date > %({0})b",
    "scheduled_before": "scheduled_date < %({0})b",
    "scheduled_after": "scheduled_date > %({0})b",
}
_ACCESS = {
    "module": "module = ANY(%({0})b::text[])",
    "method": "method = ANY(%({0})b::text[])",
    "user": f"username = {_BY}",
    "before": "timestamp <= %({0})b",
    "after": "timestamp >= %({0})b",
}
_SERVER_ERROR = {
    "error_id": "id = ANY(%({0})b::bigint[])",
    "user": f"username = {_BY}",
    "before": "error_date <= %({0})b",
    "after": "error_date >= %({0})b",
}
_GROUPS = {
    "user": "username",
    "day": "to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "hour": "to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24')",
    "country": "'_none_'",
    "subdivision": "'_none_'",
}
"""What accesses are grouped by; where they come from is not known."""
_SPREAD = "percentile_cont(ARRAY[0, 0.25, 0.5, 0.75, 0.95, 1]) WITHIN GROUP (ORDER BY {0}::float8)"
_FAILED = "a.record_id = r.id AND a.attempt_no = r.attempt_no AND a.outcome = 'error'"
"""Of a record's attempts, the last one, if it failed."""
_NOT_FILTERS = {"limit", "cursor", "include", "exclude", "group_by"}
_PEOPLE = {"owner_user", "creator_user", "username", "user"}

Composed = tuple[str, dict[str, Any]]


def records(query: Any, kind: Kind | None, limit: int) -> Composed:
    """Ids of records that fit, newest first."""
    clauses, params = _of_kind(query, kind) if kind else _selected(query)
    return _select("SELECT r.id FROM record r", "r.id", clauses, params | {"limit": limit}, query.cursor)


def selected(selection: Any, action: Action, after: int, upto: int, limit: int) -> Composed:
    """Ids of records that fit and that an action applies to, above `after` and up to `upto`, ascending."""
    clauses, params = _selected(selection)
    clauses += [_applies(action), "r.id > %(after)b", "r.id <= %(upto)b"]
    params |= {"sources": [s.value for s in action.sources], "after": after, "upto": upto, "limit": limit}
    return f"SELECT r.id FROM record r WHERE {' AND '.join(clauses)} ORDER BY r.id LIMIT %(limit)b", params


def counted(selection: Any, action: Action | None = None, upto: int | None = None) -> Composed:
    """How many records fit, by kind and status; to how many of them an action applies; and the highest id."""
    clauses, params = _selected(selection)
    if upto is not None:
        clauses.append("r.id <= %(upto)b")
        params["upto"] = upto
    applies = "true"
    if action is not None:
        applies = _applies(action)
        params["sources"] = [s.value for s in action.sources]
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    return (
        f"SELECT r.kind, r.status::text, count(*), count(*) FILTER (WHERE {applies}), max(r.id) FROM record r{where}"
        " GROUP BY r.kind, r.status ORDER BY r.kind, r.status",
        params,
    )


def followed(selection: Any, *, since: datetime | None, limit: int, **bounds: Any) -> Composed:
    """Ids of complete records that fit a rule's filter, ascending: of the `ids`, or above `after` and up to `upto`.
    With `since`, only of those that were computed from then on."""
    clauses, params = _followable(selection)
    for name, value in bounds.items():
        clauses.append(_BOUNDS[name])
        params[f"bound_{name}"] = value
    if since is not None:
        clauses.append(
            "EXISTS (SELECT FROM attempt a WHERE a.record_id = r.id AND a.attempt_no = r.attempt_no"
            " AND a.ended_on >= %(computed_since)b)"
        )
        params["computed_since"] = since
    where = " AND ".join(clauses)
    return f"SELECT r.id FROM record r WHERE {where} ORDER BY r.id LIMIT %(limit)b", params | {"limit": limit}


def followable(selection: Any) -> Composed:
    """How many complete records fit a rule's filter now."""
    clauses, params = _followable(selection)
    return f"SELECT count(*) FROM record r WHERE {' AND '.join(clauses)}", params


def _followable(selection: Any) -> tuple[list[str], dict[str, Any]]:
    # What was never tried is a step of a trajectory, a part of its optimization.
    clauses, params = _selected(selection)
    return ["r.status = 'complete'", "r.attempt_no > 0", *clauses], params


_BOUNDS = {
    "ids": "r.id = ANY(%(bound_ids)b::bigint[])",
    "after": "r.id > %(bound_after)b",
    "upto": "r.id <= %(bound_upto)b",
}


def _applies(action: Action) -> str:
    clause = "r.status = ANY(%(sources)b::text[]::record_status[])"
    unfinished = ", ".join(f"'{status.value}'" for status in sorted(UNFINISHED, key=lambda status: status.value))
    return f"({clause} AND coalesce(r.stack[1], r.status) IN ({unfinished}))" if action.unfinished else clause


def errors(selection: Any, examples: int, limit: int) -> Composed:
    """Records in error that fit, grouped by how their last attempt failed, the most frequent first: fingerprint, class,
    type, program, how many, the newest ids, first and last time, and the newest one's message."""
    clauses, params = _selected(selection)
    where = " AND ".join(["r.status = 'error'", _FAILED, *clauses])
    return (
        "SELECT g.fingerprint, g.error_class, g.error_type, g.qc_program, g.n, g.ids, g.first, g.last, a.error_message"
        " FROM (SELECT a.fingerprint, a.error_class, a.error_type, s.qc_program, count(*) AS n,"
        " (array_agg(r.id ORDER BY r.id DESC))[:%(examples)b] AS ids, max(r.id) AS newest,"
        " min(a.ended_on) AS first, max(a.ended_on) AS last"
        f" FROM record r CROSS JOIN attempt a JOIN specification s ON s.id = r.spec_id WHERE {where}"
        " GROUP BY a.fingerprint, a.error_class, a.error_type, s.qc_program"
        " ORDER BY n DESC, last DESC, fingerprint LIMIT %(limit)b) AS g"
        f" JOIN record r ON r.id = g.newest JOIN attempt a ON {_FAILED}"
        " ORDER BY g.n DESC, g.last DESC, g.fingerprint",
        params | {"examples": examples, "limit": limit},
    )


def _selected(selection: Any) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    params: dict[str, Any] = {}
    of_specification: list[str] = []
    of_error: list[str] = []
    for name, value in _given(selection):
        if name in _SPECIFICATION:
            of_specification.append(_SPECIFICATION[name].format(name))
            params[name] = [(v or "").lower() for v in value]
        elif name in _ERROR:
            of_error.append(_ERROR[name].format(name))
            params[name] = value
        else:
            clauses.append(_RECORD[name].format(name))
            params[name] = _plain(name, value)
    if of_specification:
        clauses.append(_by_specification(of_specification))
    if of_error:
        clauses.append(f"EXISTS (SELECT FROM attempt a WHERE {' AND '.join([_FAILED, *of_error])})")
    return clauses, params


def _of_kind(query: Any, kind: Kind) -> tuple[list[str], dict[str, Any]]:
    clauses = ["r.kind = %(of_kind)b"]
    params: dict[str, Any] = {"of_kind": kind.name}
    of_specification: list[str] = []
    for name, value in _given(query):
        if name in kind.filters:
            of_specification.append(_facet(kind, kind.filters[name], name))
            params[name] = [(v or "").lower() for v in value]
            params[f"{name}_other"] = [msgspec.json.encode([{kind.filters[name]: v}]).decode() for v in params[name]]
        elif name == "keywords":
            of_specification.append(f"keywords @> ANY(%({name})b::text[]::jsonb[])")
            params[name] = [searchable(v) for v in value]
        elif name in _RECORD:
            clauses.append(_RECORD[name].format(name))
            params[name] = _plain(name, value)
        else:
            clauses.append(
                "r.id IN (SELECT record_id FROM record_molecule"
                f" WHERE molecule_id = ANY(%({name})b::bigint[]) AND role = %({name}_role)b)"
            )
            params |= {name: value, f"{name}_role": kind.molecule_searches[name]}
    if of_specification:
        clauses.append(_by_specification(of_specification))
    return clauses, params


def _facet(kind: Kind, column: str, name: str) -> str:
    clause = f"coalesce({column}, '') = ANY(%({name})b::text[])"
    if kind.is_service and column in ("qc_program", "method", "basis"):
        return f"({clause} OR others @> ANY(%({name}_other)b::text[]::jsonb[]))"
    return clause


def _by_specification(clauses: list[str]) -> str:
    return f"r.spec_id IN (SELECT id FROM specification WHERE {' AND '.join(clauses)})"


def _plain(name: str, value: Any) -> Any:
    if name in _PEOPLE:
        return [str(v) for v in value]
    return [tag.lower() for tag in value] if name == "compute_tag" else _value(value)


def molecules(query: Any, limit: int) -> Composed:
    """Ids of molecules that fit, newest first."""
    clauses: list[str] = []
    params: dict[str, Any] = {"limit": limit}
    for name, value in _given(query):
        if name == "identifiers":
            for n, (key, wanted) in enumerate(value.items()):
                clauses.append(f"identifiers @> ANY(%(identifier_{n})b::text[]::jsonb[])")
                params[f"identifier_{n}"] = [msgspec.json.encode({key: v}).decode() for v in wanted]
            continue
        clauses.append(_MOLECULE[name].format(name))
        params[name] = _hashes(value) if name == "molecule_hash" else value
    return _select("SELECT id FROM molecule", "id", clauses, params, query.cursor)


def managers(query: Any, limit: int) -> Composed:
    """Names of managers that fit, newest first."""
    return _listed("SELECT name FROM worker", _MANAGER, query, limit)


def operations(query: Any, limit: int) -> Composed:
    """Ids of operations that fit, newest first."""
    return _listed("SELECT id FROM operation", _OPERATION, query, limit)


def jobs(query: Any, limit: int) -> Composed:
    """Ids of internal jobs that fit, newest first."""
    return _listed("SELECT id FROM job", _JOB, query, limit)


def rules(query: Any, limit: int) -> Composed:
    """Ids of rules that fit, newest first."""
    clauses = ["NOT removed", *(_RULE[name].format(name) for name, _ in _given(query))]
    params = {name: _plain(name, value) for name, value in _given(query)}
    return _select("SELECT id FROM rule", "id", clauses, params | {"limit": limit}, query.cursor)


def server_errors(query: Any, limit: int) -> Composed:
    """Ids of errors that fit, newest first."""
    return _listed("SELECT id FROM server_error", _SERVER_ERROR, query, limit)


def _listed(select: str, fragments: Mapping[str, str], query: Any, limit: int) -> Composed:
    clauses = [fragments[name].format(name) for name, _ in _given(query)]
    params = {name: _plain(name, value) for name, value in _given(query)}
    return _select(select, "id", clauses, params | {"limit": limit}, query.cursor)


def accesses(query: Any, limit: int) -> Composed:
    """Ids of accesses that fit, newest first."""
    clauses, params = _accesses(query)
    return _select("SELECT id FROM access_log", "id", clauses, params | {"limit": limit}, query.cursor)


def access_summary(query: Any) -> Composed:
    """Accesses by group, module and method: how many, how long, how large."""
    group = _GROUPS[query.group_by.value]
    clauses, params = _accesses(query)
    if query.group_by.value == "user":
        clauses.append("username IS NOT NULL")
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    return (
        f"SELECT {group}, module, method, count(*), {_SPREAD.format('request_duration')},"
        f" {_SPREAD.format('response_bytes')} FROM access_log{where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        params,
    )


def _accesses(query: Any) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    params: dict[str, Any] = {}
    cased: dict[str, Callable[[Any], str]] = {"module": str.lower, "method": str.upper, "user": str}
    for name, value in _given(query):
        clauses.append(_ACCESS[name].format(name))
        params[name] = [cased[name](v) for v in value] if name in cased else _value(value)
    return clauses, params


def _hashes(texts: list[str]) -> list[bytes]:
    """Those of the texts that are hashes; the others fit no molecule."""
    return [bytes.fromhex(text) for text in texts if re.fullmatch("([0-9a-f]{2})+", text)]


def _given(query: Any) -> Iterator[tuple[str, Any]]:
    for name in query.__struct_fields__:
        value = getattr(query, name)
        if value is not None and name not in _NOT_FILTERS:
            yield name, value


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [getattr(v, "value", v) for v in value]
    return value


def _select(select: str, key: str, clauses: list[str], params: dict[str, Any], cursor: int | None) -> Composed:
    if cursor is not None:
        clauses.append(f"{key} < %(cursor)b")
        params["cursor"] = cursor
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    return f"{select}{where} ORDER BY {key} DESC LIMIT %(limit)b", params


FRAGMENTS: Mapping[str, Mapping[str, str]] = {
    "record": _RECORD,
    "selection": _SPECIFICATION | _ERROR,
    "molecule": _MOLECULE,
    "manager": _MANAGER,
    "operation": _OPERATION,
    "rule": _RULE,
    "job": _JOB,
    "access": _ACCESS,
    "server error": _SERVER_ERROR,
}
