"""Which archive a command talks to, and what a person is told when it is not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient

DEFAULT = "http://127.0.0.1:7777"

Address = Annotated[str, typer.Option("--address", "-a", envvar="QCHIVE_ADDRESS", help="Where the archive is.")]


def connect(address: str) -> PortalClient:
    """A client of the archive at this address, logged in as the environment says if that speaks of this very address
    (`QCHIVE_USERNAME` and `QCHIVE_PASSWORD`, or `QCHIVE_API_TOKEN`); its message of the day goes to stderr.

    Raises:
        ServerUnreachable: nobody answers there; the message says how to start an archive.
        typer.BadParameter: it is no address.
    """
    from qchive.client.portal import PortalClient
    from qchive.errors import ServerUnreachable

    try:
        # Whoever types a command wants to know at once; retries are for what comes after the first answer.
        client = PortalClient(address, show_motd=False, retry_max=0, **_credentials(address))
    except ServerUnreachable as error:
        raise ServerUnreachable(
            f"no archive answers at {address}; start one with `qchive up`, or say where it is with --address or "
            "QCHIVE_ADDRESS",
            **error.fields,
        ) from error
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--address") from None
    client.retry_max = 5
    if motd := client.server_info.get("motd"):
        typer.echo(motd, err=True)
    return client


def _credentials(address: str) -> dict[str, Any]:
    from qchive.client.config import from_env

    if os.environ.get("QCHIVE_ADDRESS") != address:
        return {}  # no password goes to another server than it is for
    return {name: value for name, value in from_env().items() if name in ("username", "password", "api_token")}
