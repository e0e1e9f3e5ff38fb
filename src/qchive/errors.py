"""The error tree: one class per way a request can fail, each with its code, HTTP status and fields.

    QCHiveError
    ├── InvalidRequest            the request itself makes no sense (400)
    │   ├── InvalidBody           body or parameters do not decode or do not fit their type
    │   ├── InvalidAccount        an account, a group or a token that cannot be as asked for
    │   ├── InvalidMolecule       a molecule that cannot exist
    │   ├── InvalidRule           a follow-on rule that cannot be
    │   ├── InvalidSpecification  a specification that can never run
    │   ├── LimitExceeded         more of something than one request may carry
    │   ├── NotUndoable           an operation that cannot be taken back
    │   └── UnknownKind           no such record type
    ├── CountMoved                an action would change other records than were looked at (409)
    ├── NotFound                  an id or name that does not exist (400, as the protocol has it)
    ├── Referenced                something still in use cannot be removed (400)
    ├── LastAdministrator         nobody could look after accounts any more (400)
    ├── ManagerRefused            a compute manager that is unknown, inactive or asks for nothing possible (400)
    ├── AuthenticationRequired    nobody is logged in (401)
    ├── Forbidden                 the role does not allow it (403)
    ├── NoSuchPath                unknown address (404)
    ├── WrongMethod               known address, wrong HTTP method (405)
    ├── TooManyLogins             too many wrong passwords in a short time (429)
    ├── TooLarge                  body larger than the server reads (413)
    ├── InternalError             a fault of the server; the id leads to the log (500)
    ├── Unavailable               the database cannot be reached just now (503)
    │   └── Overloaded            more connections than the server takes at a time (503)
    ├── (client side)
    │   ├── ServerUnreachable     no answer after all retries
    │   ├── RequestFailed         an error answer of a server that does not send our codes
    │   ├── Offline               a lazy property of a record that has no client
    │   └── NothingToPlot         a record of which there is no picture, or none yet
    └── LocalProblem              something on this machine keeps a process of ours from running
        ├── ExtraMissing          a package that only an extra of ours brings
        ├── PostgresMissing       no PostgreSQL binaries that could be used
        ├── PostgresFailed        PostgreSQL did not start; the message ends with its log
        ├── WrongMajor            the data were written by another major version of PostgreSQL
        ├── DataInUse             another process works with this data folder
        ├── DataUnreachable       a data folder that the user PostgreSQL runs as cannot use
        ├── WrongSchema           the database, or a backup, was made by a newer release
        ├── OldSchema             the database has an older schema, and was not to be changed
        ├── StillConnected        others use the database that was to be changed under them
        ├── NotEmpty              a database that was to be filled holds something already
        ├── NoArchive             there is no archive in that folder
        ├── DatabaseFailed        PostgreSQL cannot be reached, or ended or refused the work
        ├── BackupRefused         the file is there already, or cannot be written or read
        ├── BackupDamaged         the file is not, or not any more, what was written
        ├── PortInUse             somebody else listens where we were to listen
        ├── BadConfiguration      a setting that does not exist, or a value that it cannot have
        ├── LimitTooSmall         a limit below what existing clients need
        ├── NotLoopback           a server without accounts was to be reachable from other machines
        ├── NoNetwork             a setting that should name networks names something else
        ├── WeakSecret            a key to sign tokens with that could be guessed
        └── ChildKeepsDying       a process of ours that dies again and again

The reply carries `msg`, `code` and the fields; our client raises the class the server raised. `msg` is what the
QCArchive protocol's clients show, so it says what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class QCHiveError(Exception):
    """Something QCHive refuses or cannot do."""

    code: ClassVar[str] = "error"
    http: ClassVar[int] = 400

    def __init__(self, msg: str, **fields: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.fields = fields

    def reply(self) -> dict[str, Any]:
        """The JSON object sent to the client."""
        return {"msg": self.msg, "code": self.code, **self.fields}


class InvalidRequest(QCHiveError):
    """The request makes no sense as sent."""

    code = "invalid_request"


class InvalidBody(InvalidRequest):
    """Body or parameters do not decode, or do not fit their type."""

    code = "invalid_body"


class InvalidAccount(InvalidRequest):
    """An account, a group or an API token that cannot be as it was asked for: a bad name, password, role or scope, or a
    name that is taken."""

    code = "invalid_account"


class InvalidMolecule(InvalidRequest):
    """A molecule that cannot exist: no atoms, coordinates that are no numbers, an impossible multiplicity …"""

    code = "invalid_molecule"


class InvalidSpecification(InvalidRequest):
    """A specification that can never run."""

    code = "invalid_specification"


class InvalidRule(InvalidRequest):
    """A follow-on rule that could never do anything, that would follow what it makes itself, or whose name is taken."""

    code = "invalid_rule"


class LimitExceeded(InvalidRequest):
    """More items than one request may carry."""

    code = "limit_exceeded"


class UnknownKind(InvalidRequest):
    """No such record type."""

    code = "unknown_kind"


class NotUndoable(InvalidRequest):
    """An operation that cannot be taken back: it changed no record's life, or removed records for good."""

    code = "not_undoable"


class CountMoved(QCHiveError):
    """By now an action would change more or fewer records than when they were looked at."""

    code = "count_moved"
    http = 409


class NotFound(QCHiveError):
    """An id or a name that does not exist on this server."""

    code = "not_found"


class Referenced(QCHiveError):
    """Something that other records still refer to cannot be removed."""

    code = "referenced"


class LastAdministrator(QCHiveError):
    """The only administrator who can log in cannot be removed, disabled or given another role: nobody could look after
    accounts any more. Make somebody else an administrator first."""

    code = "last_administrator"


class ManagerRefused(QCHiveError):
    """A compute manager that is unknown, inactive, or offers nothing that could be matched."""

    code = "manager_refused"


class AuthenticationRequired(QCHiveError):
    """Nobody is logged in and this server wants to know who asks."""

    code = "authentication_required"
    http = 401


class Forbidden(QCHiveError):
    """The role of the caller does not allow this."""

    code = "forbidden"
    http = 403


class NoSuchPath(QCHiveError):
    """There is nothing at this address."""

    code = "no_such_path"
    http = 404


class WrongMethod(QCHiveError):
    """The address exists, but not for this HTTP method."""

    code = "wrong_method"
    http = 405


class TooManyLogins(QCHiveError):
    """Too many wrong passwords in a short time; the field `retry_after` says in how many seconds to come back."""

    code = "too_many_logins"
    http = 429


class TooLarge(QCHiveError):
    """The body is larger than the server is willing to read."""

    code = "too_large"
    http = 413


class InternalError(QCHiveError):
    """A fault of the server. Its log holds the details under the id given."""

    code = "internal_error"
    http = 500


class Unavailable(QCHiveError):
    """The server is up but cannot reach its database just now; asking again later is safe."""

    code = "unavailable"
    http = 503


class Overloaded(Unavailable):
    """The server has as many connections as it takes at a time; the field `retry_after` says for how many seconds to
    wait."""

    code = "overloaded"


class ServerUnreachable(QCHiveError):
    """No answer from the server after all retries."""

    code = "server_unreachable"
    http = 0


class RequestFailed(QCHiveError):
    """An error answer without a code of ours (a proxy's, or another server's)."""

    code = "request_failed"

    @property
    def status_code(self) -> int | None:
        """The HTTP status of the answer."""
        return self.fields.get("status")


class Offline(QCHiveError):
    """A property that would need a request, on an object that has no client."""

    code = "offline"


class NothingToPlot(QCHiveError):
    """A record of which there is no picture, or nothing to show yet."""

    code = "nothing_to_plot"
    http = 0


class LocalProblem(QCHiveError):
    """Something on this machine keeps a process of ours from running; no server ever sends it."""

    code = "local_problem"
    http = 0


class ExtraMissing(LocalProblem):
    """A package that is not installed; the field `extra` says which of our extras brings it."""

    code = "extra_missing"


class PostgresMissing(LocalProblem):
    """No PostgreSQL binaries were found that could be used here."""

    code = "postgres_missing"


class PostgresFailed(LocalProblem):
    """PostgreSQL did not start. The message ends with what its log says."""

    code = "postgres_failed"


class WrongMajor(LocalProblem):
    """The data folder was written by another major version of PostgreSQL than the one at hand."""

    code = "wrong_major"


class DataInUse(LocalProblem):
    """Another process works with this data folder; the field `pid` says which."""

    code = "data_in_use"


class DataUnreachable(LocalProblem):
    """A data folder that the user PostgreSQL runs as cannot enter or does not own."""

    code = "data_unreachable"


class WrongSchema(LocalProblem):
    """The database or the backup was made by a newer release."""

    code = "wrong_schema"


class OldSchema(LocalProblem):
    """The database has an older schema, or none, and was not to be changed."""

    code = "old_schema"


class StillConnected(LocalProblem):
    """Others are connected to a database that was to be changed under them; the field `programs` says who."""

    code = "still_connected"


class NotEmpty(LocalProblem):
    """A database that was to be filled holds something already."""

    code = "not_empty"


class NoArchive(LocalProblem):
    """There is no archive in a data folder."""

    code = "no_archive"


class DatabaseFailed(LocalProblem):
    """PostgreSQL cannot be reached, or ended or refused the work; what was begun is taken back."""

    code = "database_failed"


class BackupRefused(LocalProblem):
    """A backup's file is there already, is just being written, or cannot be written or read."""

    code = "backup_refused"


class BackupDamaged(LocalProblem):
    """A file that is no backup, is cut off, or has other bytes than were written."""

    code = "backup_damaged"


class BadConfiguration(LocalProblem):
    """A setting that does not exist, a value that it cannot have, or a file of settings that cannot be read."""

    code = "bad_configuration"


class LimitTooSmall(LocalProblem):
    """Existing clients ask for a part of each limit at a time, and would see nothing."""

    code = "limit_too_small"


class NotLoopback(LocalProblem):
    """A server without accounts may not be reachable from other machines."""

    code = "not_loopback"


class NoNetwork(LocalProblem):
    """A setting that should name networks of addresses names something else."""

    code = "no_network"


class WeakSecret(LocalProblem):
    """A key to sign tokens with that is too short to be safe."""

    code = "weak_secret"


class PortInUse(LocalProblem):
    """Somebody else listens where we were to listen."""

    code = "port_in_use"


class ChildKeepsDying(LocalProblem):
    """A process of ours that was restarted several times and died each time at once."""

    code = "child_keeps_dying"


def _tree(cls: type[QCHiveError]) -> dict[str, type[QCHiveError]]:
    found = {cls.code: cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE: dict[str, type[QCHiveError]] = _tree(QCHiveError)


def from_reply(status: int, reply: Any) -> QCHiveError:
    """The error that a server's answer stands for: the class it raised, or RequestFailed."""
    if not isinstance(reply, dict):
        return RequestFailed(f"the server answered HTTP {status}", status=status)
    fields = {k: v for k, v in reply.items() if k not in ("msg", "code")}
    msg = str(reply.get("msg", f"the server answered HTTP {status}"))
    cls = BY_CODE.get(str(reply.get("code", "")))
    if cls is None:
        return RequestFailed(msg, **{**fields, "status": status})
    return cls(msg, **fields)
