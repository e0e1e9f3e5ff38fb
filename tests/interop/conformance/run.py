"""The peer's own tests against our server: `python -m tests.interop.conformance.run RUNNER [options or node ids]`.

RUNNER is the folder of the runner, with `run.sh` and the list of tests `calibrated.txt`. Of the list, what
`deviations.toml` says is left to later is not run. The outcome must be exactly as that file says: a test listed there
as meant to differ has to fail, all others have to pass.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from qchive.db.embedded import EmbeddedPostgres
from tests.interop.conformance import serve

HERE = Path(__file__).parent
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def expected() -> tuple[dict[str, str], dict[str, str]]:
    """Tests that are meant to fail, and tests (or beginnings of their names) left to later; each with the reason."""
    listed = tomllib.loads((HERE / "deviations.toml").read_text())
    meant = {one["test"]: one["because"] for one in listed.get("deviation", [])}
    later = {name: group["needs"] for group in listed.get("later", []) for name in group["tests"]}
    return meant, later


def chosen(listed: Path, later: Mapping[str, str]) -> list[str]:
    """The tests to run."""
    lines = [line for line in listed.read_text().splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not any(line.startswith(beginning) for beginning in later)]


def run(
    runner: Path, tests: Sequence[str], options: Sequence[str], folder: Path, dsn: str
) -> dict[str, dict[str, str]]:
    """Run them; what became of each."""
    report = folder / "report.jsonl"
    report.unlink(missing_ok=True)
    python = sys.executable
    command = [
        *("bash", str(runner / "run.sh"), "auto", "admin_user", "something123"),
        *(
            "--server-cmd",
            f"{python} -m tests.interop.conformance.serve --port {{port}} --dir {{dir}} --config {{config}}",
        ),
        *("--reset-cmd", f"{python} {HERE / 'empty.py'} {{dir}}"),
        *("--tick-cmd", f"{python} -m tests.interop.conformance.tick {{dir}}"),
        *("--conf-report", str(report), "--conf-workdir", str(folder), "--runslow", "--tb=line", *options, *tests),
    ]
    # The server of this checkout, wherever the runner changes to, and whatever is installed.
    here = (str(HERE.parents[2] / "src"), str(HERE.parents[2]), os.environ.get("PYTHONPATH"))
    path = os.pathsep.join(filter(None, here))
    environment = os.environ | {
        serve.DSN: dsn,
        "CONF_VENV": os.environ.get("CONF_VENV", sys.prefix),
        "PYTHONPATH": path,
    }
    subprocess.run(command, env=environment, check=False)
    if not report.exists():
        sys.exit("The runner wrote no report.")
    found = [json.loads(line) for line in report.read_text().splitlines()]
    return {one["nodeid"]: one for one in found}


def judged(outcomes: Mapping[str, Mapping[str, str]], tests: Sequence[str], meant: Mapping[str, str]) -> bool:
    """Say what was not as it should be."""
    passed = {name for name, one in outcomes.items() if one["outcome"] == "passed"}
    wrong = [name for name in tests if name not in passed and name not in meant]
    stale = [name for name in tests if name in passed and name in meant]
    for name in wrong:
        print(f"FAILED  {name}\n        {outcomes.get(name, {}).get('reason', 'did not run')[:300]}")
    for name in stale:
        print(f"PASSED, though listed as a deviation  {name}")
    failed = len([name for name in tests if name in meant]) - len(stale)
    print(f"{len(passed)} of {len(tests)} passed, {failed} differ as meant, {len(wrong)} failed")
    return not wrong and not stale


def main() -> None:
    """Run, compare, say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runner", type=Path)
    parser.add_argument("--with-later", action="store_true", help="run also what is left to later")
    parser.add_argument("--folder", type=Path, help="keep the report and the servers' logs here")
    given, rest = parser.parse_known_args()
    meant, later = expected()
    named = [one for one in rest if "::" in one]
    tests = named or chosen(given.runner / "calibrated.txt", {} if given.with_later else later)
    options = [one for one in rest if one not in named] + ["--conf-keep-dirs"] * bool(given.folder)
    folder = Path(tempfile.mkdtemp(prefix="qchive-conformance-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "data", settings=FORGETFUL) as postgres:
            serve.template(postgres.dsn)
            outcomes = run(given.runner, tests, options, given.folder or folder, postgres.dsn)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if judged(outcomes, tests, meant) else 1)


if __name__ == "__main__":
    main()
