"""Who asks: credentials put on requests, and renewed where they run out (`transport.md` §8)."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Generator

import httpx
import msgspec

from qchive import wire
from qchive.api import login
from qchive.api.endpoint import Endpoint
from qchive.errors import AuthenticationRequired, from_reply

_TOKEN = re.compile(r"qcf_[A-Za-z0-9_-]{1,124}")
_EXPIRED = b"Token has expired"

Flow = Generator[httpx.Request, httpx.Response, None]


class _Claims(msgspec.Struct):
    exp: float
    sub: str | int | None = None


class PasswordLogin(httpx.Auth):
    """Logs in with name and password, and gets new tokens before and whenever the old ones run out.

    Threads may share one: at worst two of them renew the same token.
    """

    requires_response_body = True

    def __init__(self, address: str, username: str, password: str) -> None:
        self._address = address
        self._credentials = login.Credentials(username=username, password=password)
        self._tokens = login.Tokens(access_token="", refresh_token="")
        self.user_id: int | None = None

    def auth_flow(self, request: httpx.Request) -> Flow:
        """The request with a valid token on it; once more with a new one if the server calls the first expired."""
        if _ends(self._tokens.refresh_token) <= time.time():
            yield from self._log_in()
        elif _ends(self._tokens.access_token) <= time.time():
            yield from self._renew()
        _bear(request, self._tokens.access_token)
        response = yield request
        if response.status_code == 401 and _EXPIRED in response.content:
            yield from self._renew()
            _bear(request, self._tokens.access_token)
            yield request

    def _log_in(self) -> Flow:
        answer = yield self._request(login.LOGIN, wire.encode(self._credentials))
        if answer.status_code != 200:
            raise _refused(answer)
        self._tokens = wire.decode(answer.content, login.Tokens)
        subject = _claims(self._tokens.access_token).sub
        self.user_id = None if subject is None else int(subject)

    def _renew(self) -> Flow:
        request = self._request(login.REFRESH)
        _bear(request, self._tokens.refresh_token)
        answer = yield request
        if answer.status_code == 401 and _EXPIRED in answer.content:
            yield from self._log_in()
        elif answer.status_code != 200:
            raise _refused(answer)
        else:
            self._tokens.access_token = wire.decode(answer.content, login.Renewed).access_token

    def _request(self, row: Endpoint, content: bytes | None = None) -> httpx.Request:
        headers = {"Content-Type": wire.JSON, "Accept": wire.JSON}
        return httpx.Request(row.method, self._address + row.path.lstrip("/"), content=content, headers=headers)


class TokenLogin(httpx.Auth):
    """An API token on every request.

    Raises:
        ValueError: the text cannot be a token.
    """

    def __init__(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("this is no API token: they start with qcf_ and hold letters, digits, _ and - only")
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Flow:
        """The request with the token on it."""
        _bear(request, self._token)
        yield request


def _bear(request: httpx.Request, token: str) -> None:
    request.headers["Authorization"] = f"Bearer {token}"


def _claims(token: str) -> _Claims:
    payload = token.split(".")[1]
    return wire.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), _Claims)


def _ends(token: str) -> float:
    return _claims(token).exp if token else 0.0


def _refused(answer: httpx.Response) -> Exception:
    try:
        error = from_reply(answer.status_code, wire.decode(answer.content, dict))
    except ValueError:
        error = from_reply(answer.status_code, None)
    return AuthenticationRequired(error.msg, **{**error.fields, "status": answer.status_code})
