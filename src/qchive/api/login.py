"""Logging in, as servers with accounts have it (`transport.md` §8): asked by the client, and answered by a server only
where it knows users."""

from __future__ import annotations

import msgspec

from qchive.api.endpoint import Body, Endpoint


class Credentials(Body, kw_only=True):
    """Who wants to come in."""

    username: str
    password: str


class Tokens(msgspec.Struct, kw_only=True):
    """JSON web tokens: one for requests, and one to get the next of the first kind."""

    access_token: str
    refresh_token: str


class Renewed(msgspec.Struct, kw_only=True):
    """The next token for requests."""

    access_token: str


class Me(msgspec.Struct, kw_only=True):
    """Who the server takes the caller for."""

    id: int
    username: str


LOGIN = Endpoint(
    name="login.login",
    method="POST",
    path="/auth/v1/login",
    may=None,
    body=Credentials,
    answer=Tokens,
    doc="Tokens for a name and a password.",
)
REFRESH = Endpoint(
    name="login.refresh",
    method="POST",
    path="/auth/v1/refresh",
    may=None,
    answer=Renewed,
    doc="A new access token for a refresh token.",
)
ME = Endpoint(name="login.me", method="GET", path="/api/v1/me", may="me:read", answer=Me, doc="The account that asks.")
