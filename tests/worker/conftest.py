"""Pools that are always stopped again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from worker_tasks import Pool, PoolMaker


@pytest.fixture(scope="session", autouse=True)
def plugins_importable() -> Iterator[None]:
    """Worker processes find the plugin module `trouble` as a user's would be found: on PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
        yield


@pytest.fixture
def pools(tmp_path: Path) -> PoolMaker:
    """`with pools(slots=2, memory=1) as pool:`"""

    @contextmanager
    def make(**options: Any) -> Iterator[Pool]:
        made = Pool(**{"plugins": ["trouble"], "scratch": tmp_path, **options})
        try:
            yield made
        finally:
            made.pool.stop()
            assert not list(tmp_path.glob("qchive-worker-*"))

    return make


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One pool for all tests of a module that do not mind each other: two slots, 2 GiB."""
    made = Pool(slots=2, memory=2.0, plugins=["trouble"], scratch=tmp_path_factory.mktemp("scratch"))
    yield made
    made.pool.stop()
