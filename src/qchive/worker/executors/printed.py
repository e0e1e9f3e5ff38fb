"""What programs print past Python: two files per warm process, emptied before each task."""

from __future__ import annotations

from pathlib import Path

from qchive.worker.failure import OUTPUT_LIMIT

STDOUT = "stdout"
STDERR = "stderr"


def tail(file: Path) -> str:
    """What was printed, the last megabytes if it is much; empty if the file is gone."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - OUTPUT_LIMIT))
            text = stream.read(OUTPUT_LIMIT).decode(errors="replace")
    except OSError:
        return ""
    if size > OUTPUT_LIMIT:
        return f"[the first {size - OUTPUT_LIMIT} bytes are left out]\n{text}"
    return text
