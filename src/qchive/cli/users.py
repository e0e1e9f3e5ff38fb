"""`qchive users` and `qchive groups`: who may do what on a server where one logs in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from qchive.cli import printing
from qchive.cli.configuring import ConfigFile, Database, configured
from qchive.cli.confirming import Yes, confirm
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.exits import Exit
from qchive.cli.keeping import Data, place_of
from qchive.cli.printing import AsJson

if TYPE_CHECKING:
    from qchive.api.accounts import UserInfo

User = Annotated[str, typer.Argument(metavar="USER", help="Name or id of an account.")]
Me = Annotated[str | None, typer.Argument(metavar="USER", help="Name or id of an account; default: yours.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="Name or id of a group.")]
Role = Annotated[str | None, typer.Option(help="admin, maintain, monitor, submit, read or compute.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group it belongs to; as often as needed.")]
FullName = Annotated[str | None, typer.Option("--full-name", help="How the person is called.")]
Organization = Annotated[str | None, typer.Option(help="Where the person works.")]
Email = Annotated[str | None, typer.Option(help="Where the person is reached.")]
GivenPassword = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin; default: the server makes one up.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    users = _group("Who may do what, on a server where people log in.")
    for name, command in (("list", list_), ("show", show), ("add", add), ("modify", modify), ("password", password)):
        users.command(name)(command)
    users.command("reset-password")(reset_password)
    users.command()(delete)
    app.add_typer(users, name="users", rich_help_panel="Accounts")
    groups = _group("Groups of accounts.")
    groups.command("list")(list_groups)
    groups.command("add")(add_group)
    groups.command("delete")(delete_group)
    app.add_typer(groups, name="groups", rich_help_panel="Accounts")


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def list_(address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """List all accounts."""
    with connect(address) as client:
        found = client.list_users()
    if as_json:
        printing.write_json(found)
        return
    rows = [
        (u.id, u.username, u.role, ", ".join(u.groups), "yes" if u.enabled else "no", u.fullname, u.email)
        for u in found
    ]
    columns = ("id", "name", "role", "groups", "enabled", "full name", "email")
    printing.console().print(printing.table(columns, rows, right=("id",)))


def show(user: Me = None, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Show one account."""
    with connect(address) as client:
        _show(client.get_user(user), as_json)


def _show(found: UserInfo, as_json: bool) -> None:
    if as_json:
        printing.write_json(found)
        return
    facts = [(name, getattr(found, name)) for name in ("id", "role", "fullname", "organization", "email")]
    facts += [("groups", ", ".join(found.groups)), ("enabled", "yes" if found.enabled else "no")]
    typer.echo(found.username)
    printing.console().print(printing.facts(facts))


def add(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the new account.")],
    role: Annotated[str, typer.Option(help="admin, maintain, monitor, submit, read or compute.")],
    group: Groups = None,
    full_name: FullName = None,
    organization: Organization = None,
    email: Email = None,
    password_stdin: GivenPassword = False,
    address: Address = DEFAULT,
) -> None:
    """Add an account; its password, if the server made it up, is what stdout says."""
    from qchive.api.accounts import UserInfo

    info = UserInfo(
        username=user,
        role=role,
        groups=group or [],
        enabled=True,
        fullname=full_name or "",
        organization=organization or "",
        email=email or "",
    )
    given = _typed() if password_stdin else None
    with connect(address) as client:
        made = client.add_user(info, given)
    printing.tell(f"{user} can log in now" + ("" if given else ", with this password, which is not shown again:"))
    if given is None:
        typer.echo(made)


def modify(
    user: User,
    role: Role = None,
    group: Groups = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="It belongs to no group any more.")] = False,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it can log in.")] = None,
    full_name: FullName = None,
    organization: Organization = None,
    email: Email = None,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Change an account; what is not named stays as it is. A disabled one is shut out at once."""
    import msgspec

    given = {
        "role": role,
        "groups": [] if no_groups else group,
        "enabled": enable,
        "fullname": full_name,
        "organization": organization,
        "email": email,
    }
    with connect(address) as client:
        changes = {name: value for name, value in given.items() if value is not None}
        wanted = msgspec.structs.replace(client.get_user(user), **changes)
        found = client.modify_user(wanted)
    _show(found, as_json)
    if (found.role, set(found.groups), found.enabled) != (wanted.role, set(wanted.groups), wanted.enabled):
        printing.tell(
            "qchive: nobody changes their own role, groups or whether they can log in: ask another administrator"
        )
        raise typer.Exit(Exit.incomplete)


def password(user: Me = None, password_stdin: GivenPassword = False, address: Address = DEFAULT) -> None:
    """Change a password; if the server made it up, it is what stdout says."""
    given = _typed() if password_stdin else None
    with connect(address) as client:
        made = client.change_user_password(user, given)
    printing.tell("The password is changed" + ("." if given else ", to this one, which is not shown again:"))
    if given is None:
        typer.echo(made)


def reset_password(
    user: User,
    enable: Annotated[bool, typer.Option("--enable", help="Let the account log in again, if it is disabled.")] = False,
    password_stdin: GivenPassword = False,
    config: ConfigFile = None,
    database_url: Database = None,
    data: Data = None,
) -> None:
    """Give an account another password without logging in, on the server's machine: for an administrator's that is
    lost. Its sessions and logins end. Needs access to the database; the server may run."""
    from qchive.db import migrate
    from qchive.server import first

    given = _typed() if password_stdin else None
    found = configured(config, None, database_url=database_url).settings
    with place_of(data, found.database_url) as conninfo:
        migrate.check(conninfo)
        made, enabled = first.reset_password(conninfo, user, given, enable=enable)
    printing.tell("The password is changed" + ("." if given else ", to this one, which is not shown again:"))
    if given is None:
        typer.echo(made)
    if not enabled:
        printing.tell(f"The account {user} is disabled: it can log in after the same with --enable.")


def delete(user: User, yes: Yes = False, address: Address = DEFAULT) -> None:
    """Remove an account with its API tokens. What it owns and did stays, under its name."""
    confirm(f"Remove the account {user}?", yes)
    with connect(address) as client:
        client.delete_user(user)
    printing.tell(f"The account {user} is gone.")


def list_groups(address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """List all groups."""
    with connect(address) as client:
        found = client.list_groups()
    if as_json:
        printing.write_json(found)
    else:
        rows = [(g.id, g.groupname, g.description) for g in found]
        printing.console().print(printing.table(("id", "name", "description"), rows, right=("id",)))


def add_group(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="Name of the new group.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    address: Address = DEFAULT,
) -> None:
    """Add a group."""
    with connect(address) as client:
        client.add_group({"groupname": group, "description": description})
    printing.tell(f"There is a group {group} now.")


def delete_group(group: Group, address: Address = DEFAULT) -> None:
    """Remove a group; its members stay."""
    with connect(address) as client:
        client.delete_group(group)
    printing.tell(f"The group {group} is gone.")


def _typed() -> str:
    return sys.stdin.readline().rstrip("\n")
