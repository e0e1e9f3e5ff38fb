"""A molecule as the archive sees it: its identity, whether it makes sense, and the document that is kept of it.

Importing this loads neither qcelemental nor numpy; what needs them loads them when called.
"""

from qchive.molecule.document import Stored, modified, stored, to_wire, with_id
from qchive.molecule.identity import formula, identity, parse_formula

__all__ = ["Stored", "formula", "identity", "modified", "parse_formula", "stored", "to_wire", "with_id"]
