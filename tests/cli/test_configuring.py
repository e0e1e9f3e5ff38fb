"""Where settings come from, and what `qchive config` says about it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from qchive.errors import BadConfiguration
from qchive.server import quantities
from qchive.server.configuration import load
from qchive.server.settings import Settings
from tests.cli.conftest import Run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.yaml"
    path.write_text(
        "name: of the file\nport: 1000\nmotd: of the file\nmax_body: 2 MiB\n"
        "auto_reset:\n  enabled: true\n  random_error: 7\napi_limits: {get_records: 20}\n"
    )
    return path


def test_flags_go_before_the_environment_before_the_file_before_defaults(
    file: Path, qchive: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCHIVE_PORT", "2000")
    monkeypatch.setenv("QCHIVE_MOTD", "of the environment")
    found = qchive("config", "show", "--config", file, "--set", "port=3000", "--json").json
    assert found["port"] == {"value": 3000, "from": "flag --set"}
    assert found["motd"] == {"value": "of the environment", "from": "environment QCHIVE_MOTD"}
    assert found["name"] == {"value": "of the file", "from": f"file {file}"}
    assert found["host"] == {"value": "127.0.0.1", "from": "default"}


def test_a_variable_names_the_file(file: Path, qchive: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCHIVE_CONFIG", str(file))
    assert qchive("config", "show", "--json").json["port"]["value"] == 1000


def test_parts_come_from_different_sources(file: Path) -> None:
    environ = {"QCHIVE_AUTO_RESET__RANDOM_ERROR": "8", "QCHIVE_API_LIMITS": '{"add_records": 9}'}
    found = load(file, {"auto_reset.by_class": ('{"lost": 3}', "flag --set")}, environ)
    assert (found.settings.auto_reset.enabled, found.settings.auto_reset.random_error) == (True, 8)
    assert found.settings.api_limits == {"get_records": 20, "add_records": 9}
    assert found.origins["auto_reset.random_error"] == "environment QCHIVE_AUTO_RESET__RANDOM_ERROR"
    assert found.origins["auto_reset.by_class.lost"] == "flag --set"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot: 1", "no setting prot. Is port meant"),
        ("auto_reset: {enable: true}", "no setting auto_reset.enable. Is auto_reset.enabled meant"),
        ("port: many", "port: Expected `int`"),
        ("request_timeout: 0", "request_timeout: Expected `int` >= 1"),
        ("request_timeout: soon", "'soon' is no time"),
        ("max_body: huge", "'huge' is no size"),
        ("port: {a: 1}", "port: Expected `int`"),
        ("auto_reset: 3", "auto_reset is to be a mapping"),
        ("auto_reset: {by_class: {funny: 1}}", "funny"),
        ("- 1", "is to be a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "server.yaml"
    path.write_text(text)
    with pytest.raises(BadConfiguration) as refused:
        load(path, environ={})
    assert message in str(refused.value)


def test_a_variable_that_is_misspelt_is_refused_and_those_of_others_are_not() -> None:
    with pytest.raises(BadConfiguration, match=r"QCHIVE_MAX_BDY.*Is max_body meant"):
        load(environ={"QCHIVE_MAX_BDY": "1"})
    others = {"QCHIVE_ADDRESS": "x", "QCHIVE_WORKER_TOKEN": "y", "QCHIVE_ZZZ": "z", "HOME": "/"}
    assert load(environ=others).origins == {}


def test_variables_hold_every_type() -> None:
    environ = {
        "QCHIVE_ENABLE_SECURITY": "false",
        "QCHIVE_TRUSTED_PROXIES": '["10.0.0.0/8"]',
        "QCHIVE_API_TOKEN_MAX_LIFETIME": "1d2h",
        "QCHIVE_DATABASE_PATIENCE": "0.5",
        "qchive_name": "7",
        "QCHIVE_PROXY_HEADER": "forwarded",
    }
    found = load(environ=environ).settings
    assert found == Settings(
        enable_security=False,
        trusted_proxies=["10.0.0.0/8"],
        api_token_max_lifetime=93600,
        database_patience=0.5,
        name="7",
        proxy_header="forwarded",
    )


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("15m", 900), ("1d2h3m4s", 93784), ("1h 5s", 3605)])
def test_times_are_written_with_units(text: str, seconds: int) -> None:
    assert quantities.seconds(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("256 MiB", 256 << 20), ("1GB", 10**9), ("12 kb", 12000)])
def test_sizes_are_written_with_units(text: str, size: int) -> None:
    assert quantities.size(text) == size


@pytest.mark.parametrize("text", ["", "1.5h", "5x", "1m2h", "-3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        quantities.seconds(text)


def test_secrets_are_not_shown(qchive: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCHIVE_DATABASE_URL", "postgresql://ada:hidden@db/qchive")
    monkeypatch.setenv("QCHIVE_JWT_SECRET_KEY", "very hidden")
    for ended in (qchive("config", "show"), qchive("config", "show", "--json")):
        assert "hidden" not in ended.out
        assert "environment QCHIVE_JWT_SECRET_KEY" in ended.out


def test_a_new_file_explains_every_setting_and_changes_none(qchive: Run, tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    assert qchive("config", "init", path).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path, environ={}).settings == Settings()
    plain = "\n".join(line[1:] for line in path.read_text().splitlines() if line and not line.startswith("##"))
    written: Any = yaml.safe_load(plain)
    assert list(written) == [field.name for field in msgspec.structs.fields(Settings)]
    assert msgspec.convert(written, Settings) == Settings()


def test_a_file_that_is_there_is_not_overwritten(qchive: Run, file: Path) -> None:
    before = file.read_text()
    assert qchive("config", "init", file).code == 2
    assert file.read_text() == before


def test_a_server_without_security_is_for_this_machine_only(qchive: Run) -> None:
    ended = qchive("server", "--database-url", "postgresql://nobody@/none", "--host", "0.0.0.0", "--no-security")
    assert ended.code == 1
    assert "Refusing to listen on 0.0.0.0: everybody who reaches this server may do everything" in ended.err


def test_a_server_without_a_database_says_how_to_name_one(qchive: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCHIVE_DATABASE_URL", raising=False)
    ended = qchive("server")
    assert ended.code == 2
    assert "QCHIVE_DATABASE_URL" in ended.err
