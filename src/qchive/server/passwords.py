"""Passwords: stored as argon2id, which costs whoever guesses memory as well as time (decisions/0012)."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from qchive.api.accounts import check_password

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""As OWASP recommends: 19 MiB and about 20 ms per guess."""

AT_ONCE = 2
"""Passwords that one server process looks at together: as many guesses slip through before a wrong one counts."""


@cache
def _of_nobody() -> str:
    return HASHER.hash(secrets.token_bytes(16))


def chosen(password: str | None) -> str:
    """The new password: the one given, or a made-up one.

    Raises:
        InvalidAccount: it cannot be a new password.
    """
    if password is None:
        return secrets.token_urlsafe(24)
    check_password(password)
    return password


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")


async def hashed(password: str) -> str:
    """What is stored of a password."""
    return await asyncio.to_thread(HASHER.hash, _bytes(password))


async def fits(stored: str | None, password: str) -> bool:
    """Whether a password is the one that was stored; without any (nobody of that name), it takes as long to say no."""
    return await asyncio.to_thread(_fits, stored or _of_nobody(), password) and stored is not None


def _fits(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether it was stored with less effort than new ones are."""
    return HASHER.check_needs_rehash(stored)
