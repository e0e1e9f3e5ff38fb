"""What can be computed: one line per record type."""

from qchive.kinds.gridoptimization import gridoptimization
from qchive.kinds.kind import Kind
from qchive.kinds.manybody import manybody
from qchive.kinds.neb import neb
from qchive.kinds.optimization import optimization
from qchive.kinds.reaction import reaction
from qchive.kinds.servicesubtask import servicesubtask
from qchive.kinds.singlepoint import singlepoint
from qchive.kinds.torsiondrive import torsiondrive

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        singlepoint,
        optimization,
        torsiondrive,
        gridoptimization,
        reaction,
        manybody,
        neb,
        servicesubtask,
    )
}

__all__ = ["KINDS", "Kind"]
