"""The manifest of a run: what it ran with, and how it ended, in one file for people and machines."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipe_core.project.run_folder import write_durably

if TYPE_CHECKING:
    from pipe_core.project.run_result import RunResult


def write_manifest(path: Path, result: RunResult) -> None:
    """Write it to *path*, whole."""
    facts = {
        **result.to_dict(),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": sys.platform,
        "distributions": _versions(),
        "git": _commit(path.parent),
    }
    write_durably(path, json.dumps(facts, indent=2, default=str).encode() + b"\n")


def _versions() -> dict[str, str]:
    """The versions of pipe and its plugins."""
    found: dict[str, str] = {}
    for one in distributions():
        name: Any = one.metadata["Name"]
        if isinstance(name, str) and name.startswith("pipe-"):
            found.setdefault(name, one.version)
    return dict(sorted(found.items()))


def _commit(folder: Path) -> str | None:
    """The commit that the project's folder is at; None where it is in no repository, or nobody can tell."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return found.stdout.strip() or None
    return None
