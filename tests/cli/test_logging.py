"""What processes of an archive log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.archive import prepared


def test_upkeep_logs_json_if_it_is_set_so(databases: Any) -> None:
    with prepared(databases) as conninfo:
        argv = [
            sys.executable,
            "-m",
            "qchive.cli",
            "upkeep",
            "--set",
            "log_format=json",
        ]
        environment = os.environ | {"QCHIVE_DATABASE_URL": conninfo}
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, env=environment, text=True)
        assert process.stderr is not None
        try:
            said = json.loads(process.stderr.readline())
        finally:
            process.kill()
            process.communicate()
    assert (said["level"], said["logger"], said["message"]) == ("INFO", "qchive.upkeep", "this process leads")
    assert said["time"].endswith("Z")
    assert said["process"] == process.pid
