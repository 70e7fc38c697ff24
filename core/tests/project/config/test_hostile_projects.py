"""Project files that somebody wrote to make pipe do something. Nothing may run; every error names the place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_project_files import OTHER, YAML, node

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.project import Project

EVIL = """
from pathlib import Path
Path({canary!r}).touch()
def extract(*inputs): pass
class Order: pass
"""


@pytest.fixture
def hostile(folder: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The folder with links out of it, and the file that appears when anything out there runs."""
    for name, value in (
        ("PLACE", "../secret.csv"),
        ("NAMED", "${secret:HOME}"),
        ("PASSWORD", "abc"),
        ("URL", "s3://user:abc@bucket"),
    ):
        monkeypatch.setenv(f"HOSTILE_{name}", value)
    outside, canary = folder.parent, folder.parent / "canary"
    for name in ("evil.py", "evil.yaml", "secret.csv"):
        (outside / name).write_text(EVIL.format(canary=str(canary)), encoding="utf-8")
    for suffix, target in ((".py", "evil.py"), (".yaml", "evil.yaml"), (".csv", "secret.csv")):
        (folder / f"link{suffix}").symlink_to(outside / target)
    (folder / "linked").symlink_to(outside)
    yield folder, canary
    assert heard == []


def _refused(path: Path, line: int | None, words: str, canary: Path) -> None:
    before = set(sys.modules)

    with pytest.raises(ConfigError) as caught:
        Project.load(path)

    problems = caught.value.problems
    told = [one for one in problems if words in one.text]
    assert told, str(caught.value)
    assert str(told[0].path) == str(path)
    assert line is None or told[0].line == line
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 6000
    assert not canary.exists()
    assert not {module for module in set(sys.modules) - before if "evil" in module or module in ("linked", "link")}
    assert str(path.parent) not in sys.path


@pytest.mark.parametrize("name", YAML)
def test_a_hostile_project_is_refused_with_its_place(name: str, hostile: tuple[Path, Path]) -> None:
    (folder, canary), (text, line, words) = hostile, YAML[name]
    path = folder / "pipe.yaml"
    text = text.replace("CANARY", str(canary)).replace("EVIL.py", str(folder.parent / "evil.py"))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    _refused(path, line, words, canary)


@pytest.mark.parametrize("name", OTHER)
def test_a_hostile_project_in_another_language_is_refused_with_its_place(name: str, hostile: tuple[Path, Path]) -> None:
    (folder, canary), (file, text, line, words) = hostile, OTHER[name]
    path = folder / file
    path.write_text(text, encoding="utf-8")

    _refused(path, line, words, canary)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nodes: !!python/object/apply:os.system ['touch CANARY']\n", 1, "tag"),
        ("include: [../evil.yaml]\n", 1, "only the project's own file includes"),
        ("nodes:\n  extract: {function: shop.etl.extract}\n", 2, "said twice"),
        ("nodes:\n  other: {function: os.system}\n", 2, "Python's own"),
        ("catalog:\n  secret: ../secret.csv\n", 2, "outside"),
        ("pipe: {}\n", 1, "no such key"),
        ("- 1\n", 1, "begins with one of the keys"),
    ],
)
def test_a_hostile_file_that_is_included_is_refused_with_its_place(
    hostile: tuple[Path, Path], text: str, line: int, words: str
) -> None:
    folder, canary = hostile
    included = folder / "conf" / "more.yaml"
    included.parent.mkdir()
    included.write_text(text.replace("CANARY", str(canary)), encoding="utf-8")
    (folder / "pipe.yaml").write_text("include: conf/*.yaml\n" + node("shop.etl.extract"), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        Project.load(folder)

    (told,) = [one for one in caught.value.problems if words in one.text]
    assert (told.path, told.line) == (str(included), line)
    assert not canary.exists()


def test_a_file_of_an_environment_that_is_a_link_is_refused(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    (folder / "pipe.yaml").write_text(node("shop.etl.extract"), encoding="utf-8")
    (folder / "pipe.prod.yaml").symlink_to(folder.parent / "evil.yaml")

    with pytest.raises(ConfigError, match="a link out of the project's folder"):
        Project.load(folder, env="prod")
    assert not canary.exists()


@pytest.mark.parametrize("env", ["../evil", "/etc/passwd", "a\0b", "", "x" * 100, "*"])
def test_a_hostile_environment_is_none(hostile: tuple[Path, Path], env: str) -> None:
    folder, canary = hostile
    (folder / "pipe.yaml").write_text(node("shop.etl.extract"), encoding="utf-8")

    with pytest.raises(ConfigError, match="no environment"):
        Project.load(folder, env=env)
    assert not canary.exists()


def test_python_is_run_only_where_a_person_names_it(hostile: tuple[Path, Path]) -> None:
    folder, canary = hostile
    (folder / "pipe.py").write_text(EVIL.format(canary=str(canary)) + "nodes = {}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="no project"):
        Project.load(folder)
    assert not canary.exists()

    assert Project.load(folder / "pipe.py").nodes == {}
    assert canary.exists()


def test_a_named_pipe_is_refused_instead_of_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "more.yaml")
    (folder / "pipe.yaml").write_text("include: more.yaml\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="there is no file"):
        Project.load(folder)
