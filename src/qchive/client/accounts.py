"""Accounts, groups and API tokens, as people with the right role look after them, and their own as everybody does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from qchive import wire
from qchive.api import accounts, tokens
from qchive.api.accounts import GroupInfo, UserInfo, check_groupname, check_password, check_username
from qchive.api.tokens import APIToken, NewAPIToken
from qchive.client.session import Session

Who = int | str | None
"""A name or an id; None: whoever is logged in."""


class AccountCalls(Session):
    """Look after accounts. Others' need the role `admin` (`maintain` may look, and look after groups)."""

    def list_users(self) -> list[UserInfo]:
        """All accounts."""
        found: list[UserInfo] = self.connection.ask(accounts.EVERYBODY)
        return found

    def get_user(self, username_or_id: Who = None) -> UserInfo:
        """One account; one's own without a name.

        Raises:
            NotFound: there is none.
        """
        who = self._other(username_or_id)
        found: UserInfo = (
            self.connection.ask(accounts.ME) if who is None else self.connection.ask(accounts.GET, user=who)
        )
        return found

    def add_user(self, user_info: UserInfo | Mapping[str, Any], password: str | None = None) -> str:
        """Add an account; returns its password, which the server makes up if none is given.

        Raises:
            InvalidAccount: a name, role, group or password that cannot be, or a name that is taken.
            RuntimeError: the account has an id already.
        """
        info = msgspec.convert(user_info, UserInfo)
        check_username(info.username)
        if password is not None:
            check_password(password)
        if info.id is not None:
            raise RuntimeError("Cannot add user when user_info contains an id")
        return str(self.connection.ask(accounts.ADD, body=(info, password)))

    def modify_user(self, user_info: UserInfo) -> UserInfo:
        """Change an account, found by its id; returns how it is now. Of one's own, only full name, organization and
        email change."""
        mine = (user_info.id, user_info.username) == (self.user_id, self.username)
        changed: UserInfo = self.connection.ask(accounts.MODIFY_ME if mine else accounts.MODIFY, body=user_info)
        return changed

    def change_user_password(self, username_or_id: Who = None, new_password: str | None = None) -> str:
        """Change a password, one's own without a name; returns it, as the server makes one up if none is given.

        Raises:
            InvalidAccount: it cannot be a password.
        """
        if new_password is not None:
            check_password(new_password)
        who, body = self._other(username_or_id), msgspec.Raw(wire.encode(new_password))
        if who is None:
            return str(self.connection.ask(accounts.SET_MY_PASSWORD, body=body))
        return str(self.connection.ask(accounts.SET_PASSWORD, body=body, user=who))

    def delete_user(self, username_or_id: int | str) -> None:
        """Remove an account. What it owns and did stays, under its name."""
        self.connection.ask(accounts.DELETE, user=_named(username_or_id))

    def get_preferences(self, username_or_id: Who = None) -> dict[str, Any]:
        """What an account has set for programs to look at."""
        who = self._other(username_or_id)
        found: dict[str, Any] = (
            self.connection.ask(accounts.MY_PREFERENCES)
            if who is None
            else self.connection.ask(accounts.PREFERENCES, user=who)
        )
        return found

    def set_preferences(self, preferences: Mapping[str, Any], username_or_id: Who = None) -> None:
        """Set what programs are to look at; it takes the place of all that was set before."""
        who = self._other(username_or_id)
        if who is None:
            self.connection.ask(accounts.SET_MY_PREFERENCES, body=dict(preferences))
        else:
            self.connection.ask(accounts.SET_PREFERENCES, body=dict(preferences), user=who)

    # --- groups -------------------------------------------------------------------------------------------------------

    def list_groups(self) -> list[GroupInfo]:
        """All groups."""
        found: list[GroupInfo] = self.connection.ask(accounts.GROUPS)
        return found

    def get_group(self, groupname_or_id: int | str) -> GroupInfo:
        """One group.

        Raises:
            NotFound: there is none.
        """
        found: GroupInfo = self.connection.ask(accounts.GET_GROUP, group=groupname_or_id)
        return found

    def add_group(self, group_info: GroupInfo | Mapping[str, Any]) -> None:
        """Add a group.

        Raises:
            InvalidAccount: a name that cannot be, or is taken.
            RuntimeError: the group has an id already.
        """
        info = msgspec.convert(group_info, GroupInfo)
        check_groupname(info.groupname)
        if info.id is not None:
            raise RuntimeError("Cannot add group when group_info contains an id")
        self.connection.ask(accounts.ADD_GROUP, body=info)

    def delete_group(self, groupname_or_id: int | str) -> None:
        """Remove a group; its members stay."""
        self.connection.ask(accounts.DELETE_GROUP, group=groupname_or_id)

    # --- API tokens ---------------------------------------------------------------------------------------------------

    def list_api_tokens(self, user: Who = None) -> list[APIToken]:
        """The API tokens of an account, with when each was last used."""
        who = self._other(user)
        found: list[APIToken] = (
            self.connection.ask(tokens.LIST_MINE) if who is None else self.connection.ask(tokens.LIST, user=who)
        )
        return found

    def create_api_token(
        self, name: str, expires_at: datetime | None = None, username_or_id: Who = None, scope: str = "unlimited"
    ) -> NewAPIToken:
        """Make an API token; its text can be read from the answer and never again. The scope says what it may do:
        `unlimited`, `read`, `compute`, or limited to compute tags as `compute?tag=gpu&tag=night`.

        Raises:
            InvalidAccount: a scope or an end that cannot be, or a name that another one has.
        """
        ends = None if expires_at is None else wire.utc(expires_at)
        body = tokens.NewToken(name=name, scope=scope, expires_at=ends)
        who = self._other(username_or_id)
        made: NewAPIToken = (
            self.connection.ask(tokens.ADD_MINE, body=body)
            if who is None
            else self.connection.ask(tokens.ADD, body=body, user=who)
        )
        return made

    def rename_api_token(self, token_id: int, name: str, username_or_id: Who = None) -> APIToken:
        """Give an API token another name."""
        who, body = self._other(username_or_id), tokens.Renaming(name=name)
        renamed: APIToken = (
            self.connection.ask(tokens.RENAME_MINE, body=body, token_id=token_id)
            if who is None
            else self.connection.ask(tokens.RENAME, body=body, user=who, token_id=token_id)
        )
        return renamed

    def delete_api_token(self, token_id: int, username_or_id: Who = None) -> None:
        """Revoke an API token; it opens nothing from now on."""
        who = self._other(username_or_id)
        if who is None:
            self.connection.ask(tokens.DELETE_MINE, token_id=token_id)
        else:
            self.connection.ask(tokens.DELETE, user=who, token_id=token_id)

    def _other(self, who: Who) -> str | None:
        """Whose account it is, if it is not one's own: everybody may look after that."""
        if who is None or who in (self.user_id, self.username):
            return None
        return _named(who)


def _named(who: int | str) -> str:
    text = str(who)
    if not text.isdecimal():
        check_username(text)
    return text
