"""The programs a worker can run: our QCEngine harnesses, and what is installed on this machine.

QCEngine has no harness for PySCF and none for tblite, and no plug-ins: whoever wants to run them through
`qcengine.compute` calls `register` first, in the same process. Importing this package is cheap; `register` and
`installed` import QCEngine, which takes seconds.
"""

from __future__ import annotations


def register() -> None:
    """Make QCEngine know our harnesses ("pyscf", "tblite") in this process; calling it again changes nothing."""
    from qcengine import list_all_programs, register_program

    from qchive.worker.programs.pyscf import PySCFHarness
    from qchive.worker.programs.tblite import TBLiteHarness

    known = list_all_programs()
    for harness in (PySCFHarness(), TBLiteHarness()):
        if harness.name not in known:
            register_program(harness)


def installed() -> dict[str, str]:
    """Programs and procedures QCEngine can run here: lower-case name -> version, "qcengine" itself among them.

    A program is listed only if its version can be found out and is one that its QCEngine harness can drive:
    "found" alone does not mean that it runs.
    """
    from qchive.worker.programs.inventory import versions

    register()
    return versions()
