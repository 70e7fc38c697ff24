"""What a pipe file may not say by itself: that a plain address is safe, and where outside its folder a database is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipe_core import ConfigError, OptionsError, get_executor
from pipe_core.project import load_pipe_file


def written(folder: Path, *lines: str) -> Path:
    file = folder / "pipe.yaml"
    file.write_text("pipe:\n  source: in.csv\n" + "".join(f"  {line}\n" for line in lines), encoding="utf-8")
    (folder / "in.csv").write_text("a\n1\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "executor",
    [
        "executor: {name: dask, address: 'tcp://198.51.100.7:8786', allow_insecure: true}",
        "executor: 'dask://198.51.100.7:8786?allow_insecure=true'",
    ],
)
def test_a_pipe_file_cannot_call_a_plain_address_safe(executor: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot say that a plain address is safe"):
        load_pipe_file(written(tmp_path, executor))


def test_a_settings_file_cannot_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipe.toml").write_text("executor = { name = 'sync', allow_insecure = true }\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionsError, match=r"allow_insecure of 'sync' is said by .*pipe\.toml"):
        get_executor()


def test_the_environment_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_EXECUTOR__ALLOW_INSECURE", "1")
    with pytest.raises(OptionsError, match="there is no such option"):
        get_executor("sync")


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        ("sqlite:////etc/shadow?table=a", "is outside"),
        ("sqlite:///../other.db?table=a", "is outside"),
        ("sqlite+pysqlite:////etc/x.db?table=a", "is outside"),
        ("sqlite://host/x.db", "named by its path"),
        ("sqlite:///file:/etc/shadow?mode=rw&uri=true", "named by its path"),
    ],
)
def test_a_database_is_a_file_of_the_folder(sink: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load_pipe_file(written(tmp_path, f"sink: '{sink}'"))
