"""`import qchive`: what it offers, and what it must not cost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import qchive

CHECK = """
import json, sys, time
began = time.process_time()
import qchive
print(json.dumps([time.process_time() - began, sorted(sys.modules)]))
"""


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    out = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True).stdout
    seconds, modules = json.loads(out)
    assert not {"numpy", "qcelemental", "httpx", "rich", "psycopg"} & set(modules)
    assert seconds < 0.3


def test_a_client_needs_neither_numpy_nor_qcelemental() -> None:
    code = "import sys; from qchive import PortalClient; print(sorted({'numpy', 'qcelemental'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in qchive.__all__:
        assert getattr(qchive, name) is not None
    assert set(dir(qchive)) >= set(qchive.__all__)
    assert qchive.Molecule.__name__ == "Molecule"


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Portal'"):
        _ = qchive.Portal
