"""The repository's top level, its change-log fragments and its test command."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

FOLDERS = {"core", "plugins", "tests", "docs", ".ci", "changelog.d"}


def tracked(root: Path) -> list[str]:
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, timeout=50)
    if done.returncode:
        pytest.skip(f"git cannot list the files: {done.stderr.strip()}")
    return done.stdout.rstrip("\0").split("\0")


def test_top_level_holds_the_agreed_folders_only(root: Path) -> None:
    folders = {name.partition("/")[0] for name in tracked(root) if "/" in name}
    assert folders <= FOLDERS


def test_nothing_that_is_made_by_a_build_is_tracked(root: Path) -> None:
    made = re.compile(r"(^|/)(__pycache__|dist|build|site|\.tox|\.venv)/|\.(pyc|whl)$")
    assert [name for name in tracked(root) if made.search(name)] == []


def test_change_log_fragments_have_a_known_type(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    types = "|".join(kind["directory"] for kind in settings["type"])
    pattern = re.compile(rf"(\+[\w-]+|\d+)\.({types})(\.\d+)?\.md")
    names = [file.name for file in (root / "changelog.d").iterdir() if file.name not in {"README.md", ".gitignore"}]
    assert [name for name in names if not pattern.fullmatch(name)] == []


def test_the_readme_and_the_ci_run_the_same_command(root: Path) -> None:
    (command,) = re.findall(r"^python3 -m venv .*tox$", (root / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert command in (root / "README.md").read_text("utf-8")
