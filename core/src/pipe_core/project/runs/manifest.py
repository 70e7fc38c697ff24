"""The manifest of a run: what it ran with, and how it ended, in one file for people and machines."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.families import FAMILIES
from pipe_core.runtime.durable import write_whole

if TYPE_CHECKING:
    from pipe_core.project.runs.result import RunResult


def write_manifest(path: Path, result: RunResult, parameters: Mapping[str, Any], commit: Commit) -> None:
    """Write it to *path*, whole."""
    facts = {
        **result.to_dict(),
        "parameters": parameters,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": sys.platform,
        "distributions": _versions(),
        "git": commit.answer(),
    }
    write_whole(path, json.dumps(facts, default=str).encode() + b"\n", durable=False)


_LONGEST: Final = 5
"""Seconds that an answer may take."""


@functools.cache
def _versions() -> dict[str, str]:
    """The versions of pipe and of all distributions that have plugins for it."""
    groups = (entry_points(group=family.group) for family in FAMILIES.values())
    found = {entry.dist.name: entry.dist.version for group in groups for entry in group if entry.dist is not None}
    return dict(sorted(found.items()))


class Commit:
    """Which commit the folder of a project is at, asked once and beside all else that happens.

    Args:
        folder: It.
    """

    def __init__(self, folder: Path) -> None:
        self._command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        self._asked: subprocess.Popen[str] | None = None
        self._is_asked = False
        self._answer: str | None = None

    def ask(self) -> None:
        """Ask, if nobody has, and do not wait for the answer."""
        if not self._is_asked:
            self._is_asked = True
            with suppress(OSError):  # there is no git here
                self._asked = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )

    def answer(self) -> str | None:
        """The commit; None where the folder is in no repository, nobody can tell, or nobody has asked."""
        asked, self._asked = self._asked, None
        if asked is not None:
            with asked:
                try:
                    self._answer = asked.communicate(timeout=_LONGEST)[0].strip() or None
                except subprocess.TimeoutExpired:
                    asked.kill()
        return self._answer
