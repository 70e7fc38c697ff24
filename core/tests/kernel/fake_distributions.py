"""Distributions made up by tests: a folder on ``sys.path`` with metadata, entry points and a module."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path

import pytest

_PLUGIN = """
from pydantic import BaseModel
from pipe_core.kernel import specs
from pipe_core.kernel.hookspecs import hookimpl

class Options(BaseModel, frozen=True, extra="forbid"):
    {options}

@hookimpl
def pipe_{word}(name):
    if name in {names!r}:
        return specs.{kind}(lambda options: (name, options), Options{more})
"""


def plugin(word: str, *names: str, options: str = "size: int = 1", more: str = "") -> str:
    """The source of a light module that offers *names*. Its products are pairs: the name and the options."""
    return _PLUGIN.format(word=word, names=names, options=options, kind=f"{word.capitalize()}Spec", more=more)


class Site:
    """Installs distributions, each in a folder of its own: the one installed last is discovered first."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch

    def install(
        self,
        distribution: str,
        source: str,
        *names: str,
        family: str = "codecs",
        module: str | None = None,
        version: str = "1.0",
    ) -> str:
        """Install *distribution*, whose module *source* answers to *names* of *family*. The result is its module."""
        module = module or distribution.replace("-", "_")
        entries = [f"{name} = {module}" for name in names]
        folder = self.metadata(distribution, [f"[pipe_core.{family}]", *entries], version)
        (folder / f"{module}.py").write_text(source)
        return module

    def metadata(self, distribution: str, entry_points: Iterable[str], version: str = "1.0") -> Path:
        """Install the metadata of *distribution* alone; the result is its folder."""
        folder = self._folder / distribution
        information = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (information / "entry_points.txt").write_text("\n".join(entry_points) + "\n")
        self._monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return folder
