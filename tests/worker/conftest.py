"""Pools that are always stopped again, and programs that never write into the checkout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.worker.worker_tasks import PLUGIN, Pool, PoolMaker


@pytest.fixture(scope="session", autouse=True)
def plugins_importable() -> Iterator[None]:
    """Worker processes find the plugin module as a user's would be found: on PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")
        yield


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in an empty folder: programs write where they are started."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def pools(tmp_path: Path) -> PoolMaker:
    """`with pools(slots=2, memory=1) as pool:`"""

    @contextmanager
    def make(**options: Any) -> Iterator[Pool]:
        folder = tmp_path / "pool"
        folder.mkdir()
        made = Pool(folder, **{"plugins": [PLUGIN], **options})
        try:
            yield made
        finally:
            made.pool.stop()
        assert not list(folder.iterdir())

    return make


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One pool for all tests of a module that do not mind each other: two slots, 2 GiB."""
    made = Pool(tmp_path_factory.mktemp("pool"), slots=2, memory=2.0, plugins=[PLUGIN])
    yield made
    made.pool.stop()
