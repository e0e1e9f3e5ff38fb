"""Who asks: by password, signed token, API token or browser session. Each request looks the account up, so what an
administrator changes counts at once, in every server process."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from qchive.api.accounts import check_username
from qchive.api.login import Credentials
from qchive.api.tokens import PREFIX, Scope
from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import AuthenticationRequired, InvalidAccount, TooManyLogins
from qchive.server import passwords, signing
from qchive.server.access import ANYBODY, Caller
from qchive.server.settings import Settings
from qchive.server.visit import Visit

_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,8192})", re.IGNORECASE)
_API_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{1,124}}")
EXPIRED = "Token has expired"
"""Existing clients look for these words, and then renew their token."""


class Holder(msgspec.Struct, frozen=True):
    """Whose a credential is."""

    id: int
    username: str
    role: str
    enabled: bool
    scope: str | None = None
    token_id: int | None = None


class Account(msgspec.Struct, frozen=True):
    """An account, with what only the gate looks at."""

    id: int
    username: str
    password: str
    role: str
    enabled: bool
    epoch: int
    groups: list[str]


class Gate:
    """Lets people in. One per server process; all that lasts is in the database."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._key = settings.jwt_secret_key
        self._turn = asyncio.Semaphore(passwords.AT_ONCE)

    async def identify(self, visit: Visit) -> Caller:
        """Who sends a request. Credentials in its header win over a cookie, and are never ignored.

        Raises:
            AuthenticationRequired: the credentials are not valid, not any more, or their account is disabled.
            Forbidden: another site's page may have made a browser send it.
        """
        if visit.authorization is not None:
            caller = await self._by_header(visit.authorization)
            return caller if self._settings.secure else Caller()
        if not self._settings.secure:
            return Caller()
        return await self._by_cookie(visit) or ANYBODY

    async def _by_header(self, header: str) -> Caller:
        token = bearer(header)
        if token.startswith(PREFIX):
            return await self._by_api_token(token)
        try:
            claims = signing.read(await self.key(), "access", token)
        except signing.Expired:
            raise refused(f"Authentication failure - JWT {EXPIRED}") from None
        holder = await self._holder(lambda conn: statements.rows(conn, "accounts/holder", Holder, id=claims.user_id))
        if holder is None:
            raise refused("User does not exist")
        return _caller(holder)

    async def _by_api_token(self, token: str) -> Caller:
        digest = hash_of(token)
        fits = _API_TOKEN.fullmatch(token)
        holder = fits and await self._holder(lambda conn: statements.rows(conn, "tokens/holder", Holder, hash=digest))
        if not holder:
            raise refused("API token does not exist, is not valid, or is expired")
        return _caller(holder)

    async def _by_cookie(self, visit: Visit) -> Caller | None:
        key, lifetime = visit.session_key, float(self._settings.user_session_max_age)
        if key is None:
            return None
        holder = await self._holder(
            lambda conn: statements.rows(
                conn,
                "sessions/holder",
                Holder,
                hash=hash_of(key),
                lifetime=lifetime,
                note_after=min(60.0, lifetime / 10),
            )
        )
        if holder is None:
            return None
        caller = _caller(holder)
        visit.check_same_site()
        visit.begin_session(key)
        return caller

    async def _holder(self, ask: Callable[[Connection], Any]) -> Holder | None:
        found: list[Holder] = await self._db.read(ask)
        return found[0] if found else None

    async def key(self) -> str:
        """What tokens are signed with: as set, or the one that this archive's processes share."""
        if self._key is None:

            async def work(conn: Connection) -> list[str]:
                return await statements.column(conn, "settings/secret", key=signing.new_key())

            (self._key,) = await self._db.run(work)
        return self._key

    async def account(self, *, user_id: int | None = None, username: str | None = None) -> Account | None:
        """An account by id or name."""

        async def work(conn: Connection) -> list[Account]:
            return await statements.rows(conn, "accounts/secret", Account, id=user_id, username=username)

        found = await self._db.read(work)
        return found[0] if found else None

    async def log_in(self, address: str, given: Credentials) -> Account:
        """The account of a name and password. Wrong ones are counted, by address and name.

        Raises:
            AuthenticationRequired: wrong, whatever of it; or the account is disabled.
            TooManyLogins: too many wrong ones lately.
        """
        name = _possible(given.username)
        async with self._turn:
            await self._check_rate(address, given.username)
            account = await self.account(username=name) if name is not None else None
            if not await passwords.fits(account.password if account else None, given.password):
                await self._failed(address, given.username)
                raise refused("Incorrect username or password")
            assert account is not None
            if passwords.outdated(account.password):
                await self._rehash(account, given.password)
        if not account.enabled:
            raise _disabled(account.id, account.username)
        await self._succeeded(address, given.username)
        return account

    async def _check_rate(self, address: str, username: str) -> None:
        s = self._settings
        if not s.login_rate_limit_enabled:
            return

        async def work(conn: Connection) -> list[float | None]:
            return await statements.column(
                conn,
                "logins/blocked",
                address=address,
                username=_counted(username),
                window=float(s.login_rate_limit_window),
                most=s.login_rate_limit_max_attempts,
                most_of_address=s.login_rate_limit_ip_max_attempts,
            )

        (wait,) = await self._db.read(work)
        if wait is not None:
            seconds = max(1, int(wait) + 1)
            raise TooManyLogins(
                f"Too many failed login attempts. Try again in {seconds} s.",
                retry_after=seconds,
                user_id=None,
                username=None,
            )

    async def _failed(self, address: str, username: str) -> None:
        counted, window = _counted(username), float(self._settings.login_rate_limit_window)

        async def work(conn: Connection) -> None:
            await statements.execute(conn, "logins/failed", address=address, username=counted, window=window)

        if self._settings.login_rate_limit_enabled:
            await self._db.run(work)

    async def _succeeded(self, address: str, username: str) -> None:
        async def work(conn: Connection) -> None:
            await statements.execute(conn, "logins/succeeded", address=address, username=_counted(username))

        if self._settings.login_rate_limit_enabled:
            await self._db.run(work)

    async def _rehash(self, account: Account, password: str) -> None:
        new = await passwords.hashed(password)

        async def work(conn: Connection) -> None:
            await statements.execute(conn, "accounts/rehash", id=account.id, old=account.password, new=new)

        await self._db.run(work)

    async def renew(self, header: str | None) -> tuple[Account, str]:
        """The account of a refresh token, and the key to sign its next access token with.

        Raises:
            AuthenticationRequired: the token is none, its time is over, or its account is gone, disabled, or has got
                another password since.
        """
        token, key = bearer(header or ""), await self.key()
        try:
            claims = signing.read(key, "refresh", token)
        except signing.Expired:
            raise refused(EXPIRED) from None
        except AuthenticationRequired:
            if _is_access(key, token):
                raise refused("Only refresh tokens are allowed") from None
            raise
        account = await self.account(user_id=claims.user_id)
        if account is None:
            raise refused("User does not exist")
        if not account.enabled:
            raise _disabled(account.id, account.username)
        if account.epoch != claims.epoch:
            raise refused(f"{EXPIRED}: the account has been changed since", account)
        return account, key


def bearer(header: str) -> str:
    """The token in an Authorization header.

    Raises:
        AuthenticationRequired: it holds something else.
    """
    found = _BEARER.fullmatch(header.strip())
    if found is None:
        raise refused("Authentication failure - unsupported or invalid Authorization header")
    return found[1]


def hash_of(secret: str) -> bytes:
    """What is stored of a long random secret."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def refused(msg: str, account: Account | None = None) -> AuthenticationRequired:
    """The error for credentials that do not hold."""
    return AuthenticationRequired(
        msg, user_id=account.id if account else None, username=account.username if account else None
    )


def _disabled(user_id: int, username: str) -> AuthenticationRequired:
    return AuthenticationRequired(f"User {username} is disabled.", user_id=user_id, username=username)


def _caller(holder: Holder) -> Caller:
    if not holder.enabled:
        raise _disabled(holder.id, holder.username)
    scope = None if holder.scope is None else Scope.of(holder.scope)
    return Caller(holder.role, holder.username, holder.id, scope, holder.token_id)


def _is_access(key: str, token: str) -> bool:
    try:
        signing.read(key, "access", token)
    except (signing.Expired, AuthenticationRequired):
        return False
    return True


def _possible(username: str) -> str | None:
    """The name, if an account can have it."""
    try:
        check_username(username)
    except InvalidAccount:
        return None
    return username


def _counted(username: str) -> str:
    """Under which name a wrong password is counted."""
    return username[:100].lower().replace("\0", "")
