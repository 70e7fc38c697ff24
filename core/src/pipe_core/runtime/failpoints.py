"""Failpoints: named places at which a process can be made to fail, to show that nothing is lost there.

``PIPE_FAILPOINTS="sink.commit.before=kill@3"`` kills the process when it comes to that place for the third time.
Several are separated by ``;``. Without the variable a place costs one comparison, and none is on the way of a record.

What can happen: ``kill`` (as ``kill -9``), ``exit`` (without any clean-up, with 70), ``error`` (an `OSError` that says
that a device does not answer), ``full`` (one that says that the disk is full), ``hang`` (for ever). ``@N`` is the time
at which it happens, from 1 on; ``@N+`` that time and each behind it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipe_core.kernel.errors import SettingsError
from pipe_core.kernel.index import suggestion

VARIABLE: Final = "PIPE_FAILPOINTS"

NAMES: Final = (
    "run.planned",
    "source.take.before",
    "commit.errors.before",
    "commit.sink.before",
    "commit.after",
    "checkpoint.begin",
    "checkpoint.errors.after",
    "checkpoint.sink.after",
    "checkpoint.hooks.after",
    "checkpoint.kept",
    "errors.commit.before",
    "errors.commit.after",
    "sink.commit.before",
    "sink.commit.after",
    "run.ended",
    "file.written",
    "file.replaced",
)
"""The places, in the order in which a run of records comes to them. The last two are in every file that is put in its
place whole, a checkpoint among them."""

ACTIONS: Final = ("kill", "exit", "error", "full", "hang")

_ONE: Final = re.compile(r"(?P<name>[\w.]+)=(?P<action>\w+)(?:@(?P<time>[1-9]\d*)(?P<on>\+)?)?")


@dataclass(slots=True)
class _Armed:
    action: str
    time: int
    on: bool
    passed: int = 0


_armed: dict[str, _Armed] | None = None


def failpoint(name: str) -> None:
    """The process has come to the place *name*.

    Raises:
        OSError: It was asked for.
        SettingsError: `VARIABLE` does not say what it can.
    """
    if _armed or _armed is None:
        _reach(name)


@contextlib.contextmanager
def armed(text: str) -> Iterator[None]:
    """*text* holds in this process while the block lasts, as `VARIABLE` says it otherwise. Times are counted anew.

    Raises:
        SettingsError: It cannot be understood.
    """
    global _armed
    before, _armed = _armed, parse(text)
    try:
        yield
    finally:
        _armed = before


def _reach(name: str) -> None:
    global _armed  # read once a process, when it first comes to any place
    if _armed is None:
        _armed = parse(os.environ.get(VARIABLE, ""))
    point = _armed.get(name)
    if point is None:
        return
    point.passed += 1
    if point.passed == point.time or (point.on and point.passed > point.time):
        _fail(point.action, name)


def _fail(action: str, name: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        case "exit":
            os._exit(70)
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"<{name}>")
        case "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO), f"<{name}>")
    while True:  # until it is killed: "hang", and a kill that takes its time
        time.sleep(3600)


def parse(text: str) -> dict[str, _Armed]:
    """What *text* asks for, by place.

    Raises:
        SettingsError: It cannot be understood, or there is no such place.
    """
    armed: dict[str, _Armed] = {}
    for one in filter(None, (part.strip() for part in text.split(";"))):
        match = _ONE.fullmatch(one)
        if match is None or match["action"] not in ACTIONS:
            words = ", ".join(ACTIONS)
            raise SettingsError(f"{VARIABLE} has '{one}'. Write place=what@time, with one of {words}.")
        if match["name"] not in NAMES:
            near = suggestion(match["name"], NAMES)
            raise SettingsError(f"{VARIABLE} has '{one}', and there is no place '{match['name']}'.{near}")
        armed[match["name"]] = _Armed(match["action"], int(match["time"] or 1), match["on"] is not None)
    return armed
