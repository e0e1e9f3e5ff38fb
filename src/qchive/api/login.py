"""Logging in and out (`transport.md` §8)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Endpoint

Said = Annotated[str, Meta(max_length=1024)]


class Credentials(Body, kw_only=True):
    """Who wants to come in."""

    username: Said
    password: Said


class Tokens(msgspec.Struct, kw_only=True):
    """JSON web tokens: one for requests, and one to get the next of the first kind."""

    msg: str = "Login succeeded!"
    access_token: str
    refresh_token: str


class Renewed(msgspec.Struct, kw_only=True):
    """The next token for requests."""

    access_token: str


class LoggedIn(msgspec.Struct, kw_only=True):
    """Who has logged in with a browser, which holds the cookie from now on."""

    msg: str = "Login succeeded!"
    user_id: int
    username: str
    groups: list[str]
    role: str


class LoggedOut(msgspec.Struct, kw_only=True):
    """The browser's session is over."""

    msg: str = "Logout successful!"


_EXAMPLE = {"username": "ann", "password": "a long password"}

LOGIN = Endpoint(
    name="login.login",
    method="POST",
    path="/auth/v1/login",
    may=None,
    body=Credentials,
    form=True,
    answer=Tokens,
    doc="Tokens for a name and a password.",
    example=_EXAMPLE,
)
REFRESH = Endpoint(
    name="login.refresh",
    method="POST",
    path="/auth/v1/refresh",
    may=None,
    answer=Renewed,
    doc="A new access token for a refresh token, which stands in the header Authorization.",
)
SESSION_LOGIN = Endpoint(
    name="login.session_login",
    method="POST",
    path="/auth/v1/session_login",
    may=None,
    body=Credentials,
    form=True,
    answer=LoggedIn,
    doc="Log in with a browser: the answer sets a cookie. Wants the header X-Requested-With.",
    example=_EXAMPLE,
)
SESSION_LOGOUT = Endpoint(
    name="login.session_logout",
    method="POST",
    path="/auth/v1/session_logout",
    may=None,
    answer=LoggedOut,
    doc="End the browser's session. Wants the header X-Requested-With.",
)

ENDPOINTS = (LOGIN, REFRESH, SESSION_LOGIN, SESSION_LOGOUT)
