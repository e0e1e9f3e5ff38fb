"""`qchive molecules`."""

from __future__ import annotations

from tests.cli.conftest import AtTerminal, Run
from tests.factories import Http, add, make_molecule


def test_molecules_that_no_record_refers_to_are_removed(qchive: Run, api: Http) -> None:
    add(api)
    api.post("molecules/bulkCreate", [make_molecule(), make_molecule()])
    assert qchive("molecules", "purge", "--dry-run").out == "2 molecules that no record refers to\n"
    assert qchive("molecules", "purge").code == 2
    assert qchive("molecules", "purge", "--dry-run", "--json").json == {"found": 2, "removed": 0}
    asked = AtTerminal("molecules", "purge")
    asked.asks("remove 2 molecules that no record refers to? [y/N]")
    assert asked.answer("y").out == "2 molecules removed\n"
    assert qchive("molecules", "purge", "--yes", "--json").json == {"found": 0, "removed": 0}
