"""The contenders: who does the work, how each is started, and what it must write."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from command import HERE, script

OURS: Final = "pipe"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: What tables call it.
        command: Makes the command from source, target and error sink.
        codes: The exit codes of a run in which some records failed.
        exact: Whether it must write the same bytes as all that are exact.
        rejects_alike: Likewise for the error sink.
        package: What must be installed for it.
        target: How many times as fast this project should be from CSV, for half a million records and for millions.
    """

    name: str
    command: Callable[..., Sequence[str]]
    codes: tuple[int, ...] = (0,)
    exact: bool = True
    rejects_alike: bool = False
    package: str | None = None
    target: tuple[float, float] | None = None

    @property
    def missing(self) -> bool:
        """Whether it cannot take part here."""
        return self.package is not None and find_spec(self.package) is None


def _by_command_line(source: Path, target: Path, errors: Path) -> list[str]:
    validate = [
        sys.executable,
        "-m",
        "pipe_core.cli",
        "validate",
        str(source),
        "--schema",
        f"{HERE / 'schema.py'}:Order",
    ]
    return [*validate, "--to", str(target), "--errors", str(errors), "--mode", "overwrite", "--no-progress"]


CONTENDERS: Final = (
    Contender(OURS, partial(script, "peer_pipe.py"), rejects_alike=True),
    Contender("pipe validate", _by_command_line, codes=(0, 1), rejects_alike=True, package="pipe_core.cli"),
    Contender("plain loop", partial(script, "peer_plain.py"), target=(1.5, 1.5)),
    Contender("ZooPipe", partial(script, "peer_zoopipe.py"), exact=False, package="zoopipe", target=(1.5, 1.7)),
    Contender("floor", partial(script, "peer_floor.py"), rejects_alike=True, target=(0.9, 0.9)),
)
