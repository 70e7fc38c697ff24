from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]


def _distribution(folder: Path, name: str, family: str, plugin: str, code: str) -> None:
    """An installed distribution with one plugin, as pip leaves it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    module = f"{name.replace('-', '_')}_module"
    (info / "entry_points.txt").write_text(f"[pipe_core.{family}]\n{plugin} = {module}\n")
    (folder / f"{module}.py").write_text(code)


def _run(site: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    """The command line in a process where *site* is installed too."""
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(site), **environ}
    done = subprocess.run(
        [sys.executable, "-m", "pipe_core.cli", *words], capture_output=True, text=True, env=environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two distributions: one whose module fails, one with a name that core has too."""
    _distribution(tmp_path / "site", "pipe-broken", "codecs", "broken", "raise RuntimeError('it is broken')\n")
    _distribution(tmp_path / "site", "pipe-rival", "codecs", "msgpack", "raise RuntimeError('imported')\n")
    return tmp_path / "site"


def test_list_shows_every_family_as_plain_text(pipe: Pipe) -> None:
    lines = pipe("plugins", "list").stdout.splitlines()

    assert lines[0].split() == ["family", "name", "distribution", "version", "status"]
    assert {line.split()[0] for line in lines[1:]} >= {"executors", "schedulers", "codecs", "formats", "observers"}


def test_list_gives_json_of_one_family(pipe: Pipe) -> None:
    rows = json.loads(pipe("plugins", "list", "--json", "--family", "executors").stdout)

    assert "sync" in {row["name"] for row in rows if row["distribution"] == "pipe-core"}
    assert {row["family"] for row in rows} == {"executors"}


def test_list_shows_a_broken_plugin_without_importing_it_and_names_that_clash(site: Path) -> None:
    code, out, errors = _run(site, "plugins", "list", "--family", "codecs", "--json")

    rows = {(row["distribution"], row["name"]): row["status"] for row in json.loads(out)}
    assert code == exits.OK
    assert rows["pipe-broken", "broken"] == "installed"
    assert rows["pipe-core", "msgpack"] == "ambiguous: say pipe-core:msgpack"
    assert errors == ""


def test_list_shows_what_is_blocked(site: Path) -> None:
    _, out, _ = _run(site, "plugins", "list", PIPE_DISABLE_PLUGINS="broken")

    assert "blocked by PIPE_DISABLE_PLUGINS" in out


def test_show_tells_options_with_types_defaults_and_words(pipe: Pipe) -> None:
    facts = json.loads(pipe("plugins", "show", "csv", "--json").stdout)[0]

    options = {option["name"]: option for option in facts["options"]}
    assert facts["suffixes"] == [".csv", ".tsv"]
    assert facts["module"] == "pipe_core.formats.plugin"
    assert options["delimiter"]["type"] == "str | None"
    assert options["header"]["type"] == "'first' | 'none' | None"
    assert options["encoding"]["default"] == "utf-8"
    assert all(option["description"] for option in options.values())


def test_show_tells_capabilities(pipe: Pipe) -> None:
    result = pipe("plugins", "show", "pipe-core:sync")

    assert result.exit_code == exits.OK
    assert "isolation" in result.stdout
    assert "options: none" in result.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("rey", "Did you mean 'ray'?"), ("cvs", "Did you mean 'csv'?"), ("zzz", "list")],
)
def test_show_of_an_unknown_name_is_usage(pipe: Pipe, name: str, words: str) -> None:
    result = pipe("plugins", "show", name)

    assert result.exit_code == exits.USAGE
    assert words in result.stderr


def test_show_of_a_broken_plugin_tells_the_reason(site: Path) -> None:
    code, out, errors = _run(site, "plugins", "show", "broken")

    assert code == exits.CONFIGURATION
    assert "RuntimeError: it is broken" in out
    assert "Traceback" not in errors


@pytest.mark.parametrize("family", ["executors", "schedulers", "codecs", "formats", "observers"])
def test_what_core_brings_passes_its_check(pipe: Pipe, family: str) -> None:
    result = pipe("plugins", "check", "--family", family, "--json")

    rows: list[dict[str, Any]] = json.loads(result.stdout)
    assert result.exit_code == exits.OK
    assert {row["result"] for row in rows if row["name"].startswith("pipe-core:")} <= {"ok", "untried"}
    assert any(row["result"] == "ok" for row in rows)


def test_check_of_a_broken_plugin_fails_and_the_others_are_checked_too(site: Path) -> None:
    code, out, errors = _run(site, "plugins", "check", "--family", "codecs", "--json")

    rows = {row["name"]: row for row in json.loads(out)}
    assert code == exits.RECORDS_FAILED
    assert "it is broken" in rows["pipe-broken:broken"]["reason"]
    assert rows["pipe-core:msgpack"]["result"] == "ok"
    assert "Traceback" not in errors


def test_check_finds_a_codec_that_changes_values(tmp_path: Path) -> None:
    code = """
from pydantic import BaseModel
from pipe_core import hookimpl
from pipe_core.kernel.specs import CodecSpec

class Options(BaseModel, extra="forbid"):
    pass

class Lossy:
    def encode(self, value): return b"x"
    def decode(self, data): return {}

@hookimpl
def pipe_codec(name):
    return CodecSpec(lambda options: Lossy(), Options)
"""
    _distribution(tmp_path / "site", "pipe-lossy", "codecs", "lossy", code)

    result, out, _ = _run(tmp_path / "site", "plugins", "check", "lossy")

    assert result == exits.RECORDS_FAILED
    assert "a value came back changed" in out


def test_check_of_a_blocked_plugin_imports_nothing(site: Path) -> None:
    code, out, _ = _run(site, "plugins", "check", "broken", PIPE_NO_PLUGINS="1")

    assert code == exits.OK
    assert "blocked" in out


def test_check_leaves_nothing_behind(pipe: Pipe, folder: Path) -> None:
    before = sorted(folder.iterdir())

    pipe("plugins", "check", "--family", "formats")

    assert sorted(folder.iterdir()) == before
