"""``pip install`` without the network: a folder's `pyproject.toml` becomes the metadata that its wheel would have."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import tomllib
from pathlib import Path


def install(command: str) -> None:
    """Do what ``pip install [-e] FOLDER`` would, for this process and those that it starts.

    Raises:
        ValueError: The command asks for anything else.
    """
    words = [word for word in shlex.split(command)[2:] if word != "-e"]
    if len(words) != 1 or not (folder := Path(words[0]).resolve()).is_dir():
        raise ValueError(f"only a folder of the page can be installed here, not: {command}")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    code = folder / "src" if (folder / "src").is_dir() else folder
    metadata = code / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (metadata / "entry_points.txt").write_text(_entry_points(project["entry-points"]), "utf-8")
    sys.path.insert(0, str(code))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")]))
    importlib.invalidate_caches()
    _forget_the_index()


def _entry_points(groups: dict[str, dict[str, str]]) -> str:
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in groups.items()
    )


def _forget_the_index() -> None:
    """What is installed is seen by the next process; a page goes on in this one, as if it were the next."""
    from pipe_core.kernel import kernel

    kernel._default = None
