from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]


def _facts(pipe: Pipe) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(pipe("doctor", "--json").stdout)
    return facts


def test_versions_plugins_and_cores_are_told(pipe: Pipe) -> None:
    facts = _facts(pipe)

    assert {"python", "platform", "pipe-core", "pydantic", "click", "rich"} <= facts["versions"].keys()
    assert not [version for version in facts["versions"].values() if version == "not installed"]
    assert facts["cores"] >= 1
    assert "sync" in {plugin["name"] for plugin in facts["plugins"] if plugin["status"] == "ok"}


def test_the_text_has_every_part(pipe: Pipe) -> None:
    lines = pipe("doctor").stdout.splitlines()

    assert {"Versions", "Machine", "Plugins", "Environment", "Settings file", "Settings", "Problems"} <= set(lines)


def test_every_setting_has_its_source(pipe: Pipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pipe.toml").write_text("chunk_size = 7\nexecutor = 'nobody'\n")
    monkeypatch.setenv("PIPE_EXECUTOR", "sync")

    facts = _facts(pipe)

    settings = {one["name"]: (one["value"], one["source"]) for one in facts["settings"]}
    assert settings["executor"] == ("sync", "PIPE_EXECUTOR")
    assert settings["chunk_size"] == (7, str(folder / "pipe.toml"))
    assert facts["settings_file"] == str(folder / "pipe.toml")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PIPE_CHUNK_SIZE", "many", "PIPE_CHUNK_SIZE"),
        ("PIPE_EXECUTOR", "rey", "executor (from PIPE_EXECUTOR): No executor named 'rey'"),
    ],
)
def test_a_wrong_setting_is_a_problem(
    name: str, value: str, words: str, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    result = pipe("doctor")

    assert result.exit_code == exits.CONFIGURATION
    assert words in result.stdout


def test_secrets_are_hidden(pipe: Pipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_API_TOKEN", "canary-1")
    monkeypatch.setenv("PIPE_EXECUTOR", "ray://user:canary-2@head:1?access_token=canary-3")
    monkeypatch.setenv("PIPE_EXECUTOR__PASSWORD", "canary-4")
    (folder / "pipe.toml").write_text("[codec]\nname = 'msgpack'\napi_key = 'canary-5'\n")

    for words in (["doctor"], ["doctor", "--json"], ["doctor", "--traceback"]):
        result = pipe(*words)
        assert "canary" not in result.output
        assert "head:1" in result.output


def test_auto_is_a_setting_that_pipes_know(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_EXECUTOR", "auto")
    assert pipe("doctor").exit_code == 0
