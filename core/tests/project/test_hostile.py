"""Files that somebody wrote to make pipe do something. Nothing may run; the error names the place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hostile_pipe_files import PIPE_FILES, SILENT
from hostile_project_files import OTHER, YAML

from pipe_core.kernel.errors import ConfigError, PipeError
from pipe_core.project.pipe_file import load_pipe_file

EVIL = "from pathlib import Path\nPath({canary!r}).touch()\nclass Order: pass\ndef hook(entry, store): pass\n"


@pytest.fixture
def canary(folder: Path) -> Path:
    """The file that appears when anything outside of the folder runs. There are links out of the folder."""
    outside, canary = folder.parent, folder.parent / "canary"
    (outside / "evil.py").write_text(EVIL.format(canary=str(canary)), encoding="utf-8")
    (outside / "secret.csv").write_text("id\n1\n", encoding="utf-8")
    (folder / "link.py").symlink_to(outside / "evil.py")
    (folder / "link.csv").symlink_to(outside / "secret.csv")
    (folder / "linked").symlink_to(outside)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").symlink_to(outside / "evil.py")
    return canary


@pytest.mark.parametrize("name", PIPE_FILES)
def test_a_hostile_or_wrong_file_is_refused_with_its_place(
    name: str, folder: Path, canary: Path, heard: list[str]
) -> None:
    text, line, words = PIPE_FILES[name]
    path = folder / "pipe.yaml"
    if isinstance(text, str):
        text = text.replace("CANARY", str(canary)).replace("EVIL.py", str(folder.parent / "evil.py")).encode()
    path.write_bytes(text)
    before = set(sys.modules)

    with pytest.raises(ConfigError) as caught:
        load_pipe_file(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 6000
    assert caught.value.path == str(path)
    assert line is None or caught.value.line == line
    assert not canary.exists()
    assert heard == []
    assert not {module for module in set(sys.modules) - before if "evil" in module}


@pytest.mark.parametrize("name", SILENT)
def test_a_file_that_names_nothing_runs_nothing(
    name: str, folder: Path, canary: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "../secret.csv")
    text, words = SILENT[name]
    path = folder / "pipe.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(PipeError) as caught:
        load_pipe_file(path).pipe().run()

    assert words in str(caught.value)
    assert not canary.exists()
    assert heard == []


def test_what_would_run_is_heard(heard: list[str]) -> None:
    os.system("true")

    assert len(heard) == 1
    assert heard[0].startswith("os.system")


def test_the_corpus_is_large_enough() -> None:
    files = [text for text, _, _ in PIPE_FILES.values()]
    projects = [*(text for text, _, _ in YAML.values()), *(text for _, text, _, _ in OTHER.values())]
    assert len(set(files)) == len(files) >= 150
    assert len(set(projects)) == len(projects) >= 150
