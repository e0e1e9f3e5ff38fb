"""Accounts of people and programs, and groups of them (`transport.md` §10)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Endpoint, Text
from qchive.errors import InvalidAccount
from qchive.kinds.kind import Id

LONGEST_NAME = 64
"""Characters of an account's."""
LONGEST_GROUP = 128
SHORTEST_PASSWORD = 12
"""Characters."""
LONGEST_PASSWORD = 72
"""Bytes in UTF-8; what other servers of this protocol can take."""

Label = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*$", examples=["text"])]


class UserInfo(Body, kw_only=True):
    """An account."""

    id: Id | None = None
    """None only of one that is to be added."""
    auth_type: Literal["password"] = "password"
    username: str
    role: Text
    groups: list[Text] = msgspec.field(default_factory=list)
    enabled: bool
    fullname: Label = ""
    organization: Label = ""
    email: Label = ""


class GroupInfo(Body, kw_only=True):
    """A group of accounts."""

    id: Id | None = None
    """None only of one that is to be added."""
    groupname: str
    description: Text = ""


def check_username(name: str) -> None:
    """Refuse what cannot be the name of an account.

    Raises:
        InvalidAccount: says why.
    """
    _check_name("Username", name, LONGEST_NAME)


def check_groupname(name: str) -> None:
    """Refuse what cannot be the name of a group.

    Raises:
        InvalidAccount: says why.
    """
    _check_name("Groupname", name, LONGEST_GROUP)


def _check_name(what: str, name: str, longest: int) -> None:
    if not name:
        raise InvalidAccount(f"{what} is empty")
    if len(name) > longest:
        raise InvalidAccount(f"{what} must be at most {longest} characters")
    if "\0" in name:
        raise InvalidAccount(f"{what} contains a NUL character")
    if " " in name:
        raise InvalidAccount(f"{what} contains spaces")
    if not name.isprintable():
        raise InvalidAccount(f"{what} contains a line break or another character that cannot be seen")
    if name.isdecimal():
        raise InvalidAccount(f"{what} cannot be all numbers")


def check_password(password: str) -> None:
    """Refuse a new password that is too short, too long, or holds NUL.

    Raises:
        InvalidAccount: says why.
    """
    if "\0" in password:
        raise InvalidAccount("Password contains a NUL character")
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidAccount(f"Password must contain at least {SHORTEST_PASSWORD} characters")
    if len(password.encode(errors="surrogatepass")) > LONGEST_PASSWORD:
        raise InvalidAccount(f"Password must be at most {LONGEST_PASSWORD} bytes when encoded as UTF-8")


NewPassword = str | None
"""None: the server makes one up, and answers it."""
NewUser = tuple[UserInfo, NewPassword]
Preferences = dict[str, Any]

_USERS, _ME, _GROUPS = "/api/v1/users", "/api/v1/me", "/api/v1/groups"
_ANN = {"id": 1, "username": "ann", "role": "admin", "enabled": True, "fullname": "Ann"}
_PASSWORD = "a long password"

EVERYBODY = Endpoint(
    name="users.everybody",
    method="GET",
    path=_USERS,
    may="users:read",
    answer=list[UserInfo],
    doc="All accounts.",
)
ADD = Endpoint(
    name="users.add",
    method="POST",
    path=_USERS,
    may="users:add",
    in_person=True,
    body=NewUser,
    answer=str,
    doc="Add an account; the answer is its password, which the server makes up if none is given.",
    example=[{"username": "ben", "role": "submit", "enabled": True}, _PASSWORD],
)
MODIFY = Endpoint(
    name="users.modify",
    method="PATCH",
    path=_USERS,
    may="users:modify",
    in_person=True,
    body=UserInfo,
    answer=UserInfo,
    doc="Change an account: all but its id and name.",
    example=_ANN,
)
GET = Endpoint(
    name="users.get",
    method="GET",
    path=f"{_USERS}/{{user}}",
    may="users:read",
    answer=UserInfo,
    doc="One account, by name or id.",
)
DELETE = Endpoint(
    name="users.delete",
    method="DELETE",
    path=f"{_USERS}/{{user}}",
    may="users:delete",
    in_person=True,
    answer=None,
    doc="Remove an account with its tokens and sessions; what it did stays under its name.",
)
SET_PASSWORD = Endpoint(
    name="users.set_password",
    method="PUT",
    path=f"{_USERS}/{{user}}/password",
    may="users:modify",
    in_person=True,
    body=NewPassword,
    answer=str,
    doc="Give an account another password; the answer is the password, which the server makes up for null.",
    example=_PASSWORD,
)
PREFERENCES = Endpoint(
    name="users.preferences",
    method="GET",
    path=f"{_USERS}/{{user}}/preferences",
    may="users:read",
    answer=Preferences,
    doc="What an account has set for programs to look at.",
)
SET_PREFERENCES = Endpoint(
    name="users.set_preferences",
    method="PUT",
    path=f"{_USERS}/{{user}}/preferences",
    may="users:modify",
    body=Preferences,
    answer=None,
    doc="Set something for programs to look at, for another account.",
    example={"theme": "dark"},
)
ME = Endpoint(name="users.me", method="GET", path=_ME, may="me:read", answer=UserInfo, doc="The account that asks.")
MODIFY_ME = Endpoint(
    name="users.modify_me",
    method="PATCH",
    path=_ME,
    may="me:modify",
    in_person=True,
    body=UserInfo,
    answer=UserInfo,
    doc="Change one's own name, organization and email; the rest stays as it is.",
    example=_ANN,
)
SET_MY_PASSWORD = Endpoint(
    name="users.set_my_password",
    method="PUT",
    path=f"{_ME}/password",
    may="me:modify",
    in_person=True,
    body=NewPassword,
    answer=str,
    doc="Change one's own password; the answer is the password, which the server makes up for null.",
    example=_PASSWORD,
)
MY_PREFERENCES = Endpoint(
    name="users.my_preferences",
    method="GET",
    path=f"{_ME}/preferences",
    may="me:read",
    answer=Preferences,
    doc="What one has set for programs to look at.",
)
SET_MY_PREFERENCES = Endpoint(
    name="users.set_my_preferences",
    method="PUT",
    path=f"{_ME}/preferences",
    may="me:modify",
    body=Preferences,
    answer=None,
    doc="Set something for programs to look at.",
    example={"theme": "dark"},
)

GROUPS = Endpoint(
    name="groups.every",
    method="GET",
    path=_GROUPS,
    may="groups:read",
    answer=list[GroupInfo],
    doc="All groups.",
)
ADD_GROUP = Endpoint(
    name="groups.add",
    method="POST",
    path=_GROUPS,
    may="groups:add",
    body=GroupInfo,
    answer=None,
    doc="Add a group.",
    example={"groupname": "chemists"},
)
GET_GROUP = Endpoint(
    name="groups.get",
    method="GET",
    path=f"{_GROUPS}/{{group}}",
    may="groups:read",
    answer=GroupInfo,
    doc="One group, by name or id.",
)
DELETE_GROUP = Endpoint(
    name="groups.delete",
    method="DELETE",
    path=f"{_GROUPS}/{{group}}",
    may="groups:delete",
    answer=None,
    doc="Remove a group; its members stay.",
)

ENDPOINTS = (
    EVERYBODY,
    ADD,
    MODIFY,
    GET,
    DELETE,
    SET_PASSWORD,
    PREFERENCES,
    SET_PREFERENCES,
    ME,
    MODIFY_ME,
    SET_MY_PASSWORD,
    MY_PREFERENCES,
    SET_MY_PREFERENCES,
    GROUPS,
    ADD_GROUP,
    GET_GROUP,
    DELETE_GROUP,
)
