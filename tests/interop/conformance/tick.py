"""Have the server in a folder take on its composite records, now: `tick.py DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.ticking import tick

if __name__ == "__main__":
    tick((Path(sys.argv[1]) / "conninfo.txt").read_text())
