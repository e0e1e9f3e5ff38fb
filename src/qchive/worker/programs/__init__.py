"""The programs a worker can run: our QCEngine harnesses, and what is installed on this machine.

QCEngine has no harness for PySCF and none for tblite, one for RDKit with wrong units, and no plug-ins: whoever wants to
run them through `qcengine.compute` calls `register` first, in the same process. Importing this package is cheap;
`register` and `installed` import QCEngine, which takes seconds.
"""

from __future__ import annotations


def register() -> None:
    """Make QCEngine know our harnesses ("pyscf", "rdkit", "tblite") in this process, in the place of its own.

    Calling it again changes nothing.
    """
    from qcengine import get_program, list_all_programs, register_program, unregister_program

    from qchive.worker.programs.pyscf import PySCFHarness
    from qchive.worker.programs.rdkit import RDKitHarness
    from qchive.worker.programs.tblite import TBLiteHarness

    for harness in (PySCFHarness(), RDKitHarness(), TBLiteHarness()):
        if harness.name in list_all_programs():
            if type(get_program(harness.name, check=False)) is type(harness):
                continue
            unregister_program(harness.name)
        register_program(harness)


def installed() -> dict[str, str]:
    """Programs and procedures QCEngine can run here: lower-case name -> version, "qcengine" itself among them.

    A program is listed only if its version can be found out and is one that its QCEngine harness can drive:
    "found" alone does not mean that it runs.
    """
    from qchive.worker.programs.inventory import versions

    register()
    return versions()
