"""Builds distributions of this repository and installs their wheels into the environment that runs this script.

    python tests/packaging/install_wheels.py --work DIR pipe-core[testing] pipe-loky --with pytest-timeout

Each wheel is named to the installer by its path. A version number says nothing here (every build has the same one),
and a package index might know a distribution of the same name.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def distributions() -> dict[str, Path]:
    """The folder of every distribution in the repository, by name."""
    files = [ROOT / "core" / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return {tomllib.loads(file.read_text("utf-8"))["project"]["name"]: file.parent for file in files}


def build(names: list[str], folder: Path) -> dict[str, Path]:
    """Builds one wheel for each name and returns where they are."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels = {}
    for name in names:
        run("build", "--wheel", "--quiet", "--out-dir", str(folder), str(distributions()[name]))
        (wheels[name],) = folder.glob(f"{name.replace('-', '_')}-*.whl")
    return wheels


def requirements(wanted: list[str], wheels: dict[str, Path]) -> list[str]:
    """Turns `pipe-core[testing]` into a requirement on that wheel with its extras."""
    lines = []
    for requirement in wanted:
        name, bracket, extras = requirement.partition("[")
        lines.append(f"{name}{bracket}{extras} @ {wheels[name].as_uri()}")
    return lines


def run(*command: str) -> None:
    subprocess.run(["uv", *command], check=True, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("distributions", nargs="*", help="names in this repository, with extras where they are wanted")
    parser.add_argument("--all", action="store_true", help="every distribution, pipe-core with its extra [testing]")
    parser.add_argument("--with", action="append", default=[], dest="others", help="a requirement from the index")
    parser.add_argument("--resolution", default="highest", choices=["highest", "lowest-direct"])
    parser.add_argument("--work", type=Path, required=True, help="folder for the built wheels")
    arguments = parser.parse_args()

    wanted = arguments.distributions
    if arguments.all:
        wanted = ["pipe-core[testing]", *(name for name in distributions() if name != "pipe-core")]
    names = [requirement.partition("[")[0] for requirement in wanted]
    wheels = build(names, arguments.work / "dist")
    reinstall = [f"--reinstall-package={name}" for name in names]
    upgrade = ["--upgrade"] if arguments.resolution != "highest" else []
    lines = requirements(wanted, wheels) + arguments.others
    run(
        "pip", "install", "--python", sys.executable, "--resolution", arguments.resolution, *upgrade, *reinstall, *lines
    )


if __name__ == "__main__":
    main()
