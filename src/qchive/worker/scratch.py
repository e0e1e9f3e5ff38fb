"""A folder for temporary files that goes away, also when its worker did not get the chance to see to it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "qchive-worker-"


@contextlib.contextmanager
def scratch(base: Path | None, note: Path) -> Iterator[Path]:
    """A fresh folder below `base` (or wherever the system puts temporary files) while the context lasts.

    Its path is written into `note`; what an earlier worker left is found by its note, and removed. Raises OSError when
    there is no room or no permission for a folder.
    """
    _remove_noted(note)
    if base is not None:
        base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    note.write_text(f"{folder}\n")
    try:
        yield folder
    finally:
        _remove_noted(note)


def _remove_noted(note: Path) -> None:
    with contextlib.suppress(OSError):
        folder = Path(note.read_text().strip())
        if folder.is_absolute() and folder.name.startswith(_PREFIX):  # a damaged note removes nothing else
            shutil.rmtree(folder, ignore_errors=True)
        note.unlink(missing_ok=True)
