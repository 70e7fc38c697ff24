"""What a user gets: source distribution, wheel, a clean environment, the command line in an empty folder.

Run by `tox -e dist`. Each step says what it checks; the first thing that is wrong ends the script with exit code 1.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.metadata import Metadata
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
PROBE = {
    "pyproject.toml": """
        [build-system]
        requires = ["hatchling>=1.25"]
        build-backend = "hatchling.build"

        [project]
        name = "packaging-probe"
        version = "1"

        [project.entry-points."pipe_core.schedulers"]
        {name} = "packaging_probe"
    """,
    "packaging_probe.py": '"""A plugin that is installed, listed and removed again."""\n',
}


class Wrong(Exception):
    """Something is not as a user needs it."""


def check(holds: object, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def call(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a command in a clean environment and returns what it wrote."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIPE_", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, "NO_COLOR": "1"}, capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    line = " ".join(map(str, command))
    check(done.returncode == 0, f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(work: Path) -> list[Path]:
    """Builds every source distribution, and from each of them (not from the checkout) its wheel."""
    call("uv", "build", "--quiet", "--all-packages", "--out-dir", work, cwd=ROOT)
    for source in sorted(work.glob("*.tar.gz")):
        with tarfile.open(source) as archive:
            names = {PurePosixPath(name).name for name in archive.getnames()}
        check({"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names, f"{source.name} lacks one of its files")
    wheels = sorted(work.glob("*.whl"))
    check(len(wheels) == len(list(work.glob("*.tar.gz"))) > 0, "not every source distribution gave a wheel")
    return wheels


def check_wheel(wheel: Path) -> None:
    name, version, _, _ = parse_wheel_filename(wheel.name)
    package = name.replace("-", "_")
    with zipfile.ZipFile(wheel) as archive:
        paths = [PurePosixPath(path) for path in archive.namelist()]
        (metadata_path,) = [path for path in paths if path.name == "METADATA"]
        metadata = Metadata.from_email(archive.read(str(metadata_path)), validate=True)
    info = metadata_path.parts[0]
    check({path.parts[0] for path in paths} == {package, info}, f"{wheel.name} holds more than {package}")
    check(PurePosixPath(package, "py.typed") in paths, f"{wheel.name} has no py.typed")
    check(PurePosixPath(info, "licenses", "LICENSE") in paths, f"{wheel.name} has no licence")
    tests = [str(path) for path in paths if is_test(path)]
    check(not tests, f"{wheel.name} holds tests: {', '.join(tests)}")
    check((metadata.name, metadata.version) == (name, version), f"{wheel.name}: file name and metadata differ")
    for field in ("summary", "description", "license_expression", "requires_python", "classifiers"):
        check(getattr(metadata, field), f"{wheel.name}: metadata has no {field}")


def is_test(path: PurePosixPath) -> bool:
    if path.parts[:2] == ("pipe_core", "testing"):  # the conformance kits are shipped
        return False
    return "tests" in path.parts or path.name == "conftest.py" or path.name.startswith("test_")


class Clean:
    """An environment made by the standard library, filled by pip, used from an empty folder."""

    def __init__(self, work: Path) -> None:
        self.home = work / "empty"
        self.home.mkdir()
        venv.create(work / "venv", with_pip=True, symlinks=os.name != "nt")
        self.bin = work / "venv" / ("Scripts" if os.name == "nt" else "bin")

    def python(self, *arguments: str | Path) -> str:
        return call(self.bin / "python", *arguments, cwd=self.home)

    def pipe(self, *arguments: str) -> str:
        return call(self.bin / "pipe", *arguments, cwd=self.home)

    def install(self, *wheels: Path) -> None:
        self.python("-m", "pip", "install", "--quiet", *wheels)

    def plugins(self) -> set[str]:
        """Every text in the listing of plugins, the names among them."""
        return set(texts(json.loads(self.pipe("plugins", "list", "--json"))))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from (text for item in value.values() for text in texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts(item))


def check_command_line(clean: Clean) -> None:
    check("plugins" in clean.pipe("--help"), "`pipe --help` does not name its commands")
    found = clean.plugins()
    check({"sync", "fifo", "msgpack", "csv", "jsonl"} <= found, f"built-in plugins are missing from {sorted(found)}")
    check(not list(clean.home.iterdir()), "the command line left something behind in an empty folder")


def check_project(clean: Clean) -> None:
    """Makes a project and runs it, with what was installed and nothing else."""
    clean.pipe("init", "shop")
    clean.pipe("check", "--project", "shop")
    result = json.loads(clean.pipe("run", "daily", "--project", "shop", "--json"))
    check(result["status"] == "completed", f"the project of `pipe init` ends with {result['status']}")
    shutil.rmtree(clean.home / "shop")


def check_readme(clean: Clean) -> None:
    """Runs the first example of core/README.md as somebody would who pasted it into a file."""
    match = re.search(r"```python\n(.*?)```", (ROOT / "core" / "README.md").read_text("utf-8"), re.DOTALL)
    check(match, "core/README.md has no example")
    assert match is not None
    script = clean.home / "example.py"
    script.write_text(match[1], "utf-8")
    output = clean.python(script.name).strip()
    (expected,) = re.findall(r"^print\(.*#\s*(.*)$", match[1], re.MULTILINE)
    check(output == expected, f"the example in core/README.md says {expected!r} and prints {output!r}")


def probe(work: Path, name: str) -> Path:
    """Builds a plugin distribution with one entry point."""
    source = work / f"probe-{name}"
    source.mkdir()
    for file, text in PROBE.items():
        lines = [line.strip() for line in text.replace("{name}", name).splitlines()]
        (source / file).write_text("\n".join(lines), "utf-8")
    call("uv", "build", "--quiet", "--wheel", "--out-dir", source / "dist", source)
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


def check_plugins_come_and_go(clean: Clean, work: Path) -> None:
    before = clean.plugins()
    first, second = probe(work, "probe_one"), probe(work, "probe_two")
    clean.install(first)
    check(clean.plugins() & {"probe_one", "probe_two"} == {"probe_one"}, "a plugin installed just now is not listed")
    clean.python("-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", second)
    check(clean.plugins() & {"probe_one", "probe_two"} == {"probe_two"}, "a plugin's new entry point is not listed")
    clean.python("-m", "pip", "uninstall", "--quiet", "--yes", "packaging-probe")
    check(clean.plugins() == before, "a plugin removed just now is still listed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in; emptied if it is not")
    work = parser.parse_args().work.resolve() / "clean-install"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)

    say("source distributions, and wheels built from them")
    wheels = build(work / "dist")
    for wheel in wheels:
        say(f"contents and metadata of {wheel.name}")
        check_wheel(wheel)
    say("clean environment, pip check")
    clean = Clean(work)
    clean.install(*wheels)
    clean.python("-m", "pip", "check")
    say("command line in an empty folder")
    check_command_line(clean)
    say("a project of `pipe init`")
    check_project(clean)
    say("example of core/README.md")
    check_readme(clean)
    say("a plugin is listed as soon as it is installed, and gone as soon as it is removed")
    check_plugins_come_and_go(clean, work)
    say("all as it should be")


if __name__ == "__main__":
    try:
        main()
    except Wrong as error:
        sys.exit(f"wrong: {error}")
