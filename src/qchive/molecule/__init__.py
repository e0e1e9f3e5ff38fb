"""A molecule as the archive sees it: its identity, whether it makes sense, and the document that is kept of it.

Importing this loads neither qcelemental nor numpy; what needs them loads them when called.
"""

from qchive.molecule.document import Path, Stored, modified, stored, to_wire, with_id
from qchive.molecule.exchange import from_qcelemental, to_qcelemental
from qchive.molecule.files import read_files
from qchive.molecule.identity import formula, identity, parse_formula

__all__ = [
    "Path",
    "Stored",
    "formula",
    "from_qcelemental",
    "identity",
    "modified",
    "parse_formula",
    "read_files",
    "stored",
    "to_qcelemental",
    "to_wire",
    "with_id",
]
