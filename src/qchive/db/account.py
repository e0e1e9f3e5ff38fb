"""Who PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to run as root. Started by root it runs as an unprivileged user instead; everything else stays root.
Reach is found out by trying, as that very user: permission bits alone do not tell (groups, ACLs, mounts).
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qchive.errors import PostgresFailed
from qchive.spawn import Account

# setuid(2): EPERM without the capability, EINVAL where a user namespace does not know the user. exec gives neither.
_NOT_ALLOWED_TO_BECOME = (errno.EPERM, errno.EINVAL)

CANDIDATES = ("qchive", "postgres", "nobody")


def current() -> Account:
    """The user of this process; without an entry in the user database its number stands for the name."""
    return of_uid(os.geteuid(), os.getegid())


def of_uid(uid: int, gid: int = 65534) -> Account:
    """The user with this number."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def for_postgres(cluster: Path) -> Account | None:
    """Whom PostgreSQL has to become: None (stay who we are) unless we are root.

    The owner of data that are there already, else the first of `qchive`, `postgres` and `nobody` that exists.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return of_uid(status.st_uid, status.st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return Account("nobody", 65534, 65534)


def run(
    argv: Sequence[str | Path], account: Account | None, env: Mapping[str, str], text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as that user, from `/`, with `text` as its input and both outputs captured together.

    Raises OSError when the command cannot be started, PostgresFailed when we may not become that user.
    """
    become: dict[str, Any] = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(word) for word in argv],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=dict(env),
            cwd="/",
            check=False,
            **become,
        )
    except OSError as error:
        if account is None or error.errno not in _NOT_ALLOWED_TO_BECOME:
            raise
        raise PostgresFailed(
            f"PostgreSQL refuses to run as root, and this process may not become the user {account.name} "
            f"({error.strerror}), as in some containers. Start it as an ordinary user, or use a server elsewhere.",
            log="",
        ) from error
    return done


def can_run(program: Path, account: Account | None, env: Mapping[str, str]) -> bool:
    """Whether that user can start the program, shared libraries included."""
    try:
        return run([program, "--version"], account, env).returncode == 0
    except OSError:
        return False


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether that user gets into the folder."""
    try:
        return run(["/bin/sh", "-c", 'cd -- "$0"', folder], account, {}).returncode == 0
    except OSError:
        return False
