"""The distributions agree with each other, and what is installed says what their pyproject files say."""

import importlib
import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

Project = dict[str, Any]

CORE_NEEDS = {
    "click",
    "cloudpickle",
    "lz4",
    "msgpack",
    "pluggy",
    "psutil",
    "pydantic",
    "pyyaml",
    "rich",
    "stevedore",
}
# The first release of each without a known hole that would let data run code or break a reader.
SAFE_FROM = {"msgpack": "1.2.3", "ray": "2.55", "distributed": "2026.1.0", "pyarrow": "14.0.1"}


def requirements(project: Project) -> Iterator[Requirement]:
    extras = project.get("optional-dependencies", {}).values()
    for line in [*project.get("dependencies", []), *(line for extra in extras for line in extra)]:
        yield Requirement(line)


def accepts_one_minor_release(requirement: Requirement, version: Version) -> bool:
    following = Version(f"{version.major}.{version.minor + 1}")
    has_floor = any(part.operator == ">=" for part in requirement.specifier)
    return has_floor and version in requirement.specifier and following not in requirement.specifier


def test_all_distributions_have_one_version(projects: dict[str, Project]) -> None:
    assert len({project["version"] for project in projects.values()}) == 1


def test_every_plugin_pins_the_core_of_its_own_minor_release(projects: dict[str, Project]) -> None:
    version = Version(projects["pipe-core"]["version"])
    wrong = []
    for name, project in projects.items():
        own = [requirement for requirement in requirements(project) if requirement.name in projects]
        if name != "pipe-core" and "pipe-core" not in {requirement.name for requirement in own}:
            wrong.append(f"{name} does not depend on pipe-core")
        wrong += [f"{name}: {line}" for line in own if not accepts_one_minor_release(line, version)]
    assert wrong == []


@pytest.mark.parametrize(
    "line", ["pipe-core", "pipe-core>=0.1", "pipe-core<0.2", "pipe-core>=0.0.9,<0.1", "pipe-core==0.1.0"]
)
def test_a_pin_without_floor_or_ceiling_is_noticed(line: str) -> None:
    assert not accepts_one_minor_release(Requirement(line), Version("0.1.0"))


def test_what_comes_from_this_repository_is_taken_from_it(
    projects: dict[str, Project], folders: dict[str, Path]
) -> None:
    """Else uv refuses to build a distribution out of its folder."""
    lacking = []
    for name, project in projects.items():
        whole = tomllib.loads((folders[name] / "pyproject.toml").read_text("utf-8"))
        sources = whole.get("tool", {}).get("uv", {}).get("sources", {})
        needed = {requirement.name for requirement in requirements(project)} & projects.keys() - {name}
        lacking += [f"{name}: {one}" for one in sorted(needed) if sources.get(one) != {"workspace": True}]
    assert lacking == []


def test_core_depends_on_these_ten_and_nothing_more(projects: dict[str, Project]) -> None:
    names = [Requirement(line).name.lower() for line in projects["pipe-core"]["dependencies"]]
    assert sorted(names) == sorted(CORE_NEEDS)


def test_floors_exclude_releases_with_known_holes(projects: dict[str, Project]) -> None:
    too_low = []
    for name, project in projects.items():
        for requirement in requirements(project):
            if safe := SAFE_FROM.get(requirement.name):
                floors = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
                if not floors or max(floors) < Version(safe):
                    too_low.append(f"{name}: {requirement}, safe from {safe}")
    assert too_low == []


def test_every_plugin_is_an_extra_of_core(projects: dict[str, Project], plugins: dict[str, Project]) -> None:
    extras = projects["pipe-core"]["optional-dependencies"]
    assert {"zstd", "testing"} <= set(extras)
    for name in plugins:
        short = name.removeprefix("pipe-")
        assert [Requirement(line).name for line in extras[short]] == [name]
        assert name in {Requirement(line).name for line in extras["all"]}


def test_every_distribution_carries_the_licence(root: Path, folders: dict[str, Path]) -> None:
    text = (root / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    for folder in folders.values():
        assert (folder / "LICENSE").read_text("utf-8") == text


def test_python_versions_agree(projects: dict[str, Project]) -> None:
    assert {project["requires-python"] for project in projects.values()} == {">=3.11"}


def test_installed_entry_points_are_the_declared_ones(projects: dict[str, Project]) -> None:
    for name, project in projects.items():
        declared = {(group, entry, value) for group, table in groups(project).items() for entry, value in table.items()}
        installed = importlib.metadata.distribution(name).entry_points
        assert {(point.group, point.name, point.value) for point in installed} == declared


def groups(project: Project) -> dict[str, dict[str, str]]:
    return {**project.get("entry-points", {}), "console_scripts": project.get("scripts", {})}


def test_every_entry_point_leads_to_something(projects: dict[str, Project]) -> None:
    dead = []
    for name in projects:
        for point in importlib.metadata.distribution(name).entry_points:
            try:
                point.load()
            except (ImportError, AttributeError) as error:
                dead.append(f"{name}: {point.group} {point.name} = {point.value}: {error}")
    assert dead == []
