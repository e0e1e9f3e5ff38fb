"""Programs that tests run in their own process use one thread: with more, the threads of several test processes wait
for each other most of the time."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

with patch.dict(os.environ, OMP_NUM_THREADS="1"):
    import tblite.interface  # noqa: F401 - its threads are counted when it is loaded


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GeomeTRIC writes the path of an optimization to where it is."""
    monkeypatch.chdir(tmp_path)
