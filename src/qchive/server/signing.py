"""Signed tokens (JSON web tokens, HS256): short-lived ones for requests, and longer ones to get the next of these."""

from __future__ import annotations

import secrets
import time
from functools import lru_cache
from typing import Any, Literal

import jwt
import msgspec

from qchive.errors import AuthenticationRequired

AUDIENCE = "qchive"
_ALGORITHM = "HS256"
_REQUIRED = ["exp", "aud", "sub", "type", "epoch"]

Kind = Literal["access", "refresh"]


class Expired(Exception):
    """A token of ours whose time is over."""


class Claims(msgspec.Struct, frozen=True):
    """What a token says about its holder."""

    user_id: int
    epoch: int


def new_key() -> str:
    """A key that nobody guesses."""
    return secrets.token_urlsafe(48)


def signed(key: str, kind: Kind, claims: Claims, lifetime: int, **shown: Any) -> str:
    """A token that holds for `lifetime` seconds. What is `shown` is for clients to look at; the server never does."""
    now = int(time.time())
    return jwt.encode(
        {
            **shown,
            "type": kind,
            "aud": AUDIENCE,
            "sub": str(claims.user_id),
            "epoch": claims.epoch,
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(8),
        },
        key,
        algorithm=_ALGORITHM,
    )


def read(key: str, kind: Kind, token: str) -> Claims:
    """What a token says that we signed.

    Raises:
        Expired: its time is over.
        AuthenticationRequired: it is not ours, or of another kind.
    """
    claims, found, end = _verified(key, token)
    if end <= time.time():
        raise Expired
    if found != kind:
        raise unfit("WrongTokenError")
    return claims


@lru_cache(maxsize=1024)
def _verified(key: str, token: str) -> tuple[Claims, str, float]:
    """What a token says, of which kind it is, and when it ends. Remembered: checking a signature costs more than asking
    the database about its holder, and it does not change."""
    try:
        found = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            options={"require": _REQUIRED, "verify_iat": False, "verify_exp": False},
        )
    except jwt.PyJWTError as error:
        raise unfit(type(error).__name__) from None
    return Claims(int(found["sub"]), int(found["epoch"])), found["type"], float(found["exp"])


def unfit(why: str) -> AuthenticationRequired:
    """The error for a token that is none of ours."""
    return AuthenticationRequired(f"Authentication failure - invalid token ({why})", user_id=None, username=None)
