"""QCHive: an archive that runs quantum chemistry.

>>> from qchive import PortalClient
>>> client = PortalClient("http://localhost:7777")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qchive._version import __version__

if TYPE_CHECKING:
    from qcelemental.models import Molecule

    from qchive import errors
    from qchive.api.accounts import GroupInfo, UserInfo
    from qchive.client.portal import PortalClient
    from qchive.local import Local
    from qchive.status import PriorityEnum, RecordStatusEnum

# Loaded when first used: qcelemental alone takes longer than everything else together.
_HOMES = {
    "GroupInfo": "qchive.api.accounts",
    "Local": "qchive.local",
    "Molecule": "qcelemental.models",
    "PortalClient": "qchive.client.portal",
    "PriorityEnum": "qchive.status",
    "RecordStatusEnum": "qchive.status",
    "UserInfo": "qchive.api.accounts",
}

__all__ = [
    "GroupInfo",
    "Local",
    "Molecule",
    "PortalClient",
    "PriorityEnum",
    "RecordStatusEnum",
    "UserInfo",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("qchive.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'qchive' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
