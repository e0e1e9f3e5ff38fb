"""A request as far as it matters who sends it, and from where."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from qchive.errors import Forbidden
from qchive.server.access import Caller
from qchive.server.settings import Settings

COOKIE = "qcf_session"
_HARMLESS = ("GET", "HEAD", "OPTIONS")


def _host(origin: str) -> str | None:
    """The host and port of an Origin header; None if it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


class Visit:
    """Where a request comes from, the credentials on it, and the cookie that goes back with the answer."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._cookie: str | None = None
        """The new secret of the browser's session; empty: it is over."""

    @property
    def address(self) -> str:
        """The network address of whoever asks."""
        client = self._request.client
        return client.host if client is not None else ""

    @property
    def agent(self) -> str:
        """The program that asks, as it calls itself."""
        return self._request.headers.get("user-agent", "")[:500].replace("\0", "")

    @property
    def authorization(self) -> str | None:
        """The header that wins over any cookie."""
        return self._request.headers.get("authorization")

    @property
    def session_key(self) -> str | None:
        """The secret of a browser's session."""
        return self._request.cookies.get(COOKIE)

    def check_same_site(self) -> None:
        """Refuse a request that a page of somebody else may have made the browser send, with its cookie.

        Raises:
            Forbidden: it changes something, and lacks the header that such a page cannot add.
        """
        headers = self._request.headers
        if self._request.method in _HARMLESS:
            return
        if not headers.get("x-requested-with"):
            raise Forbidden(
                "Forbidden: Cross-site request check failed - missing X-Requested-With header",
                user_id=None,
                username=None,
            )
        origin = headers.get("origin")
        if origin is not None and _host(origin) != headers.get("host", "").lower():
            raise Forbidden(
                "Forbidden: Cross-site request check failed - untrusted origin", user_id=None, username=None
            )

    def known(self, caller: Caller) -> None:
        """What is noted of the request carries this name."""
        self._request.scope["qchive.seen"].caller = caller

    def begin_session(self, key: str) -> None:
        """Have the browser hold this secret, which is one of ours, or hold it longer."""
        self._cookie = key

    def end_session(self) -> None:
        """Have the browser forget its secret."""
        self._cookie = ""

    def mark(self, response: Response, settings: Settings) -> Response:
        """The answer with the cookie, if one is to go back; then no proxy may keep it for others."""
        if self._cookie is not None:
            lifetime = settings.user_session_max_age if self._cookie else 0
            secure = "; Secure" if settings.user_session_cookie_secure else ""
            cookie = f"{COOKIE}={self._cookie}; HttpOnly; Max-Age={lifetime}; Path=/; SameSite=Lax{secure}"
            response.headers["Set-Cookie"] = cookie
            response.headers["Cache-Control"] = "no-store"
            response.headers["Vary"] = "Cookie"
        return response
