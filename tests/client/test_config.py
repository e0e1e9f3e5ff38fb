"""Where to connect to, from files and the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qchive.client import config

CONTENT = """
main:
  address: https://example.org
  username: me
other:
  address: localhost:7777
nowhere:
  username: me
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(config.PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))


def write(path: Path, content: str = CONTENT, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_section_of_a_file_says_where_to_connect_to(tmp_path: Path) -> None:
    path = write(tmp_path / "my.yaml")
    assert config.from_file("main", path) == {"address": "https://example.org", "username": "me"}
    assert config.from_file("other", str(path)) == {"address": "localhost:7777"}


def test_a_file_without_sections_is_one_server(tmp_path: Path) -> None:
    write(tmp_path / "qchive_config.yaml", "address: https://example.org\n")
    assert config.from_file() == {"address": "https://example.org"}
    assert config.from_file(config_path=tmp_path) == {"address": "https://example.org"}


def test_our_own_file_comes_first_and_the_current_folder_before_the_user_s(tmp_path: Path) -> None:
    write(tmp_path / "home" / ".qca" / "qcportal_config.yaml", "address: https://qca.example\n")
    assert config.from_file()["address"] == "https://qca.example"
    write(tmp_path / "home" / ".config" / "qchive" / "qchive_config.yaml", "address: https://user.example\n")
    assert config.from_file()["address"] == "https://user.example"
    write(tmp_path / "qcportal_config.yaml", "address: https://here.example\n")
    assert config.from_file()["address"] == "https://here.example"
    write(tmp_path / "qchive_config.yaml", "address: https://ours.example\n")
    assert config.from_file()["address"] == "https://ours.example"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="qchive_config"):
        config.from_file()
    path = write(tmp_path / "qchive_config.yaml")
    with pytest.raises(RuntimeError, match="no section 'mian', only main, other, nowhere"):
        config.from_file("mian")
    with pytest.raises(KeyError, match="no `address`"):
        config.from_file("nowhere", path)
    with pytest.raises(KeyError, match="name one"):
        config.from_file()


def test_a_secret_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    content = "address: https://example.org\nusername: me\npassword: secret\n"
    path = write(tmp_path / "a.yaml", content, 0o644)
    with pytest.warns(UserWarning, match="chmod 600"):
        config.from_file(config_path=path)
    path.chmod(0o600)
    assert config.from_file(config_path=path)["password"] == "secret"


def test_the_environment_says_where_to_connect_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCPORTAL_ADDRESS", "https://example.org")
    monkeypatch.setenv("QCPORTAL_USERNAME", "me")
    assert config.from_env() == {"address": "https://example.org", "username": "me"}


def test_a_password_goes_only_to_the_server_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCPORTAL_ADDRESS", "https://example.org")
    monkeypatch.setenv("QCPORTAL_PASSWORD", "secret")
    monkeypatch.setenv("QCHIVE_ADDRESS", "https://ours.example")
    assert config.from_env() == {"address": "https://ours.example"}


@pytest.mark.parametrize(
    ("text", "value"), [("False", False), ("0", False), ("true", True), ("/etc/ca.pem", "/etc/ca.pem")]
)
def test_verify_is_a_truth_or_a_path(monkeypatch: pytest.MonkeyPatch, text: str, value: bool | str) -> None:
    monkeypatch.setenv("QCHIVE_ADDRESS", "https://ours.example")
    monkeypatch.setenv("QCHIVE_VERIFY", text)
    assert config.from_env()["verify"] == value


def test_an_environment_without_address_is_told() -> None:
    with pytest.raises(KeyError, match="QCHIVE_ADDRESS"):
        config.from_env()
