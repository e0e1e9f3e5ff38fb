"""API tokens, shown instead of a password, what each may do, and browser sessions (`transport.md` §10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self, get_args
from urllib.parse import parse_qsl, quote

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Endpoint, Text
from qchive.errors import InvalidAccount

PREFIX = "qcf_"
"""How every API token begins; clients and scanners for secrets know it."""

What = Literal["unlimited", "read", "compute"]
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00]*$", examples=["laptop"])]


class Scope(msgspec.Struct, frozen=True):
    """What an API token may do of what its owner may: as text `unlimited`, `read` or `compute`, and behind it the
    compute tags that it is limited to, as in `compute?tag=gpu&tag=night`."""

    what: What = "unlimited"
    """Everything; only look; only work as a compute manager."""
    tags: tuple[str, ...] = ()
    """Limited to adding and computing records of these; none: no limit."""

    @classmethod
    def of(cls, text: str) -> Self:
        """The scope that a text stands for.

        Raises:
            InvalidAccount: none.
        """
        what, mark, rest = text.partition("?")
        try:
            limits = parse_qsl(rest, keep_blank_values=True, strict_parsing=bool(mark), max_num_fields=100)
        except ValueError:
            limits = [("", "")]
        tags = tuple(sorted({tag.lower() for name, tag in limits if name == "tag" and tag not in ("", "*")}))
        if what not in get_args(What) or any(name != "tag" for name, _ in limits) or bool(tags) != bool(mark):
            raise InvalidAccount(
                f"Unknown API token scope: {text!r}. Use {', '.join(get_args(What))}, and to limit it to compute tags "
                "for instance compute?tag=gpu&tag=night"
            )
        if what == "read" and tags:
            raise InvalidAccount("The scope read cannot be limited to compute tags: it sees all records or none")
        return cls(what, tags)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.what + ("?" if self.tags else "") + "&".join(f"tag={quote(tag)}" for tag in self.tags)

    def of_offered(self, tags: Sequence[str], *, strict: bool) -> list[str]:
        """Of the tags that a manager offers to compute, those that are left. `*` stands for all of this scope's, unless
        it means the literal tag only (`strict`)."""
        if not self.tags:
            return list(tags)
        wider = [one for tag in tags for one in (self.tags if tag == "*" and not strict else (tag,))]
        return list(dict.fromkeys(tag for tag in wider if tag in self.tags))


class APIToken(msgspec.Struct, kw_only=True):
    """What is known of an API token; the token itself is shown once, when it is made."""

    id: int
    user_id: int
    token_prefix: str
    name: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


class NewAPIToken(msgspec.Struct, kw_only=True):
    """A new API token, to be kept: the server cannot show it again."""

    token: str
    info: APIToken


class NewToken(Body, kw_only=True):
    """The API token that is wanted."""

    name: Name
    """No two of one account have the same."""
    scope: Text = str(Scope())
    """See `Scope`."""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Renaming(Body, kw_only=True):
    """Another name for an API token."""

    name: Name


class BrowserSession(msgspec.Struct, kw_only=True):
    """Somebody logged in with a browser."""

    public_id: str
    user_id: int
    last_accessed: datetime
    ip_address: str | None
    user_agent: str | None


def _of(whose: str, resource: str, name: str) -> tuple[Endpoint, ...]:
    """The endpoints of tokens and sessions below an account's address; handlers are told apart by `name`."""
    tokens = f"/api/v1/{whose}/tokens"
    who = "an account" if resource == "users" else "one's own account"
    return (
        Endpoint(
            name=f"tokens.{name}",
            method="GET",
            path=tokens,
            may=f"{resource}:read",
            answer=list[APIToken],
            doc=f"The API tokens of {who}.",
        ),
        Endpoint(
            name=f"tokens.add_{name}",
            method="POST",
            path=tokens,
            may=f"{resource}:modify",
            in_person=True,
            body=NewToken,
            answer=NewAPIToken,
            doc=f"Make an API token for {who}; it is shown this once.",
            example={"name": "laptop" if resource == "me" else "cluster", "scope": "read"},
        ),
        Endpoint(
            name=f"tokens.rename_{name}",
            method="PATCH",
            path=f"{tokens}/{{token_id:int}}",
            may=f"{resource}:modify",
            in_person=True,
            body=Renaming,
            answer=APIToken,
            doc=f"Give an API token of {who} another name.",
            example={"name": "desktop"},
        ),
        Endpoint(
            name=f"tokens.delete_{name}",
            method="DELETE",
            path=f"{tokens}/{{token_id:int}}",
            may=f"{resource}:modify",
            in_person=True,
            answer=None,
            doc=f"Revoke an API token of {who}, at once.",
        ),
        Endpoint(
            name=f"sessions.{name}",
            method="GET",
            path=f"/api/v1/{whose}/sessions",
            may=f"{resource}:read",
            answer=list[BrowserSession],
            doc=f"The browser sessions of {who}.",
        ),
    )


THEIRS = LIST, ADD, RENAME, DELETE, SESSIONS = _of("users/{user}", "users", "theirs")
MINE = LIST_MINE, ADD_MINE, RENAME_MINE, DELETE_MINE, MY_SESSIONS = _of("me", "me", "mine")
EVERY = Endpoint(
    name="tokens.every",
    method="GET",
    path="/api/v1/tokens",
    may="users:read",
    answer=list[APIToken],
    doc="The API tokens of all accounts.",
)
EVERY_SESSION = Endpoint(
    name="sessions.every",
    method="GET",
    path="/api/v1/sessions",
    may="users:read",
    answer=list[BrowserSession],
    doc="The browser sessions of all accounts.",
)

ENDPOINTS = (EVERY, EVERY_SESSION, *THEIRS, *MINE)
