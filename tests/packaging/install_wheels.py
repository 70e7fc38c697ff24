"""Builds distributions of this repository and installs their wheels into the environment that runs this script.

    python tests/packaging/install_wheels.py --work DIR pipe-core[testing] pipe-loky --with pytest-timeout

Each wheel is named to the installer by its path. A version number says nothing here (every build has the same one),
and a package index might know a distribution of the same name.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def distributions() -> dict[str, Path]:
    """The folder of every distribution in the repository, by name."""
    files = [ROOT / "core" / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return {project(file.parent)["name"]: file.parent for file in files}


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def build(names: list[str], folder: Path) -> dict[str, Path]:
    """Builds one wheel for each name and returns where they are."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels = {}
    for name in names:
        run("build", "--wheel", "--quiet", "--out-dir", str(folder), str(distributions()[name]))
        (wheels[name],) = folder.glob(f"{name.replace('-', '_')}-*.whl")
    return wheels


def split(requirement: str) -> tuple[str, list[str]]:
    """`pipe-core[testing]` as its name and its extras."""
    name, _, extras = requirement.rstrip("]").partition("[")
    return name, extras.split(",") if extras else []


def with_needed(wanted: list[str]) -> list[str]:
    """What is wanted, and behind it those of our own distributions that it needs and that nobody named."""
    found = list(wanted)
    for requirement in found:  # grows meanwhile
        for line in project(distributions()[split(requirement)[0]]).get("dependencies", []):
            name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
            if name in distributions() and name not in {split(one)[0] for one in found}:
                found.append(name)
    return found


def declared(requirement: str) -> list[str]:
    """What a distribution and the wanted extras of it ask for, our own distributions aside."""
    name, extras = split(requirement)
    table = project(distributions()[name])
    lines = [*table.get("dependencies", [])]
    for extra in extras:
        lines += table.get("optional-dependencies", {}).get(extra, [])
    ours = re.compile("|".join(rf"{re.escape(own)}(?![\w.-])" for own in distributions()))
    return [line for line in lines if not ours.match(line)]


def run(*command: str) -> None:
    subprocess.run(["uv", *command], check=True, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("distributions", nargs="*", help="names in this repository, with extras where they are wanted")
    parser.add_argument("--all", action="store_true", help="every distribution, pipe-core with its extras")
    parser.add_argument("--with", action="append", default=[], dest="others", help="a requirement from the index")
    parser.add_argument("--lowest", action="store_true", help="the oldest dependencies that are allowed")
    parser.add_argument("--work", type=Path, required=True, help="folder for the built wheels")
    arguments = parser.parse_args()

    wanted = arguments.distributions
    if arguments.all:
        plugins = [name for name in distributions() if name != "pipe-core"]
        wanted = ["pipe-core[cloud,testing,zstd]", *(f"{name}[testing]" for name in plugins)]
    wanted = with_needed(wanted)
    names = [split(requirement)[0] for requirement in wanted]
    wheels = build(names, arguments.work / "dist")
    lines = [f"{requirement} @ {wheels[name].as_uri()}" for requirement, name in zip(wanted, names, strict=True)]
    options = [f"--reinstall-package={name}" for name in names]
    if arguments.lowest:
        # The oldest versions are chosen for what is asked for here, not for what a wheel asks for: ask for both. And
        # without --upgrade a version that an earlier floor left in the environment would stay.
        options += ["--resolution=lowest-direct", "--upgrade"]
        lines += [line for requirement in wanted for line in declared(requirement)]
    run("pip", "install", "--python", sys.executable, *options, *lines, *arguments.others)


if __name__ == "__main__":
    main()
