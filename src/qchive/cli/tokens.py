"""`qchive tokens`: what programs show instead of a password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from qchive.cli import printing
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.exits import Exit
from qchive.cli.printing import AsJson, moment

Whose = Annotated[str | None, typer.Option("--user", help="Name or id of an account; default: yours.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="API tokens: what programs show instead of a password.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command()(create)
    group.command("list")(list_)
    group.command()(revoke)
    app.add_typer(group, name="tokens", rich_help_panel="Accounts")


def create(
    name: Annotated[str, typer.Argument(help="What the token is for; no two of an account have the same.")],
    scope: Annotated[str, typer.Option(help="What it may do: unlimited, read or compute.")] = "unlimited",
    tag: Annotated[list[str] | None, typer.Option(help="Only with computations of this compute tag.")] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="Days that it holds; default: as the server has it.")
    ] = None,
    user: Whose = None,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make an API token: it is what stdout says, and is not shown again. This needs a password (`QCHIVE_USERNAME` and
    `QCHIVE_PASSWORD`): no token makes another one."""
    from urllib.parse import urlencode

    limited = f"{scope}?{urlencode([('tag', one) for one in tag])}" if tag else scope
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with connect(address) as client:
        made = client.create_api_token(name, expires, user, limited)
    if as_json:
        printing.write_json(made)
        return
    ends = "for ever" if made.info.expires_at is None else f"until {moment(made.info.expires_at)}"
    printing.tell(f"The API token {name} ({made.info.scope}) holds {ends}. It is not shown again:")
    typer.echo(made.token)


def list_(user: Whose = None, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """List the API tokens of an account, with when each was last used."""
    with connect(address) as client:
        found = client.list_api_tokens(user)
    if as_json:
        printing.write_json(found)
        return
    rows = [
        (t.id, t.name, t.scope, f"{t.token_prefix}…", moment(t.created_at), _or(t.expires_at), _or(t.last_used_at))
        for t in found
    ]
    columns = ("id", "name", "scope", "token", "made", "expires", "last used")
    printing.console().print(printing.table(columns, rows, right=("id",)))


def _or(time: datetime | None) -> str:
    return "never" if time is None else moment(time)


def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Name or id of an API token.")],
    user: Whose = None,
    address: Address = DEFAULT,
) -> None:
    """Revoke an API token; it opens nothing from now on."""
    with connect(address) as client:
        found = [one for one in client.list_api_tokens(user) if token in (one.name, str(one.id))]
        if not found:
            printing.tell(f"qchive: there is no API token {token}")
            raise typer.Exit(Exit.incomplete)
        for one in found[:1]:
            client.delete_api_token(one.id, user)
    printing.tell(f"The API token {found[0].name} opens nothing any more.")
