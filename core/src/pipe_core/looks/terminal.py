"""The terminal: one live view at a time is drawn on it. Whoever finds it taken writes lines, which appear above it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_view: Final = threading.Lock()


def take_terminal(stream: TextIO | None = None, *, notebooks: bool = False) -> Console | None:
    """A console to draw on, if there is a terminal and nothing else draws on it. Give it back by `free_terminal`.

    Args:
        stream: Where to draw. Default: standard error.
        notebooks: Whether the output of a notebook will do as well.
    """
    from rich.console import Console
    from rich.file_proxy import FileProxy

    given = stream or sys.stderr
    if given is None or isinstance(given, FileProxy):
        return None
    console = Console(file=stream, stderr=stream is None)
    is_notebook = notebooks and stream is None and console.is_jupyter
    can_be_drawn_on = is_notebook or (given.isatty() and console.is_interactive)
    return console if can_be_drawn_on and _view.acquire(blocking=False) else None


def free_terminal() -> None:
    """The view has gone."""
    _view.release()


def is_taken() -> bool:
    """Whether a view is drawn."""
    return _view.locked()
