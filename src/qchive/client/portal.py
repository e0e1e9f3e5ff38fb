"""The client that people use."""

from __future__ import annotations

import os
from typing import Self

from qchive.client import config
from qchive.client.accounts import AccountCalls
from qchive.client.actions import ActionCalls
from qchive.client.failures import FailureCalls
from qchive.client.jobs import JobCalls
from qchive.client.logs import LogCalls
from qchive.client.managers import ManagerCalls
from qchive.client.molecules import MoleculeCalls
from qchive.client.operations import OperationCalls
from qchive.client.retrieval import RetrievalCalls
from qchive.client.rules import RuleCalls
from qchive.client.submission import SubmissionCalls


class PortalClient(
    SubmissionCalls,
    RetrievalCalls,
    ActionCalls,
    OperationCalls,
    RuleCalls,
    FailureCalls,
    MoleculeCalls,
    ManagerCalls,
    JobCalls,
    LogCalls,
    AccountCalls,
):
    """An archive: add computations, look at their records and manage them.

    >>> client = PortalClient("http://localhost:7777")  # doctest: +SKIP
    >>> meta, ids = client.add_singlepoints(molecules, "pyscf", "energy", "b3lyp", "def2-svp")  # doctest: +SKIP
    >>> for record in client.wait(ids):  # doctest: +SKIP
    ...     print(record.id, record.status, record.return_result)

    Raises:
        ServerUnreachable: nobody answers at this address.
        AuthenticationRequired: wrong name or password, or a token that is not valid.
        ValueError: an address or a token that cannot be one, or both a token and a password.
    """

    @classmethod
    def from_file(cls, server_name: str | None = None, config_path: str | os.PathLike[str] | None = None) -> Self:
        """A client for a server named in a configuration file; see `qchive.client.config.from_file`."""
        return cls(**config.from_file(server_name, config_path))

    @classmethod
    def from_env(cls) -> Self:
        """A client for the server named in the environment; see `qchive.client.config.from_env`."""
        return cls(**config.from_env())
