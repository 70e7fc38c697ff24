"""What the packaging tests read: every distribution's pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def folders() -> dict[str, Path]:
    """The folder of every distribution, by the distribution's name."""
    files = [ROOT / "core" / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return {tomllib.loads(file.read_text("utf-8"))["project"]["name"]: file.parent for file in files}


@pytest.fixture(scope="session")
def projects(folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """The table `[project]` of every distribution, by the distribution's name."""
    return {
        name: tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        for name, folder in folders.items()
    }


@pytest.fixture(scope="session")
def plugins(projects: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same without pipe-core."""
    return {name: project for name, project in projects.items() if name != "pipe-core"}
