"""Companions: what callbacks have with them where nodes are called, in whatever thread or process that is."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from pipe_core.graph.callbacks import PipelineCallback

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext

logger = logging.getLogger("pipe_core")


class Companion(Protocol):
    """Goes with each call of a node. It travels to other processes, and must be picklable as what it gives must be."""

    def around(self, node_id: str, ctx: CallbackContext) -> AbstractContextManager[Any]:
        """What a call is made in: entered before it and left behind it, in the thread of the call and in its context.

        What entering it gives is a mark, for `CallbackContext.marks` of the events of the call.
        """


def companions_of(callbacks: Sequence[Any], context: CallbackContext) -> tuple[Companion, ...]:
    """Those that *callbacks* send along with what is about to begin."""
    plain = PipelineCallback.companion
    asked = (getattr(callback, "companion", None) for callback in callbacks)
    found = (_asked(ask, context) for ask in asked if ask is not None and getattr(ask, "__func__", ask) is not plain)
    return tuple(one for one in found if one is not None)


def _asked(ask: Any, context: CallbackContext) -> Companion | None:
    try:
        companion: Companion | None = ask(context)
    except Exception:
        logger.exception("a callback failed in companion; the run goes on without it")
        return None
    return companion


class Surroundings:
    """What one call is made in.

    Args:
        companions: Who has something to put around it.
        node: The node's name.
        context: Of the call. It gets the marks.
    """

    __slots__ = ("_entered",)

    def __init__(self, companions: Sequence[Companion], node: str, context: CallbackContext) -> None:
        self._entered: list[AbstractContextManager[Any]] = []
        marks = []
        for companion in companions:
            try:
                around = companion.around(node, context)
                marks.append(around.__enter__())
                self._entered.append(around)
            except Exception:
                logger.exception("the companion of a callback failed in front of a node; the run goes on")
        context.marks = tuple(marks)

    def leave(self) -> None:
        """The call has ended."""
        while self._entered:
            try:
                self._entered.pop().__exit__(None, None, None)
            except Exception:
                logger.exception("the companion of a callback failed behind a node; the run goes on")


# --- to other processes ---


def packed(companions: tuple[Companion, ...]) -> bytes:
    """As bytes for another process; none of them, where one cannot travel."""
    if not companions:
        return b""
    from pipe_core.runtime.wire import dumps

    try:
        return dumps(companions)
    except Exception:  # whatever somebody else's code raises
        logger.exception("the companion of a callback cannot travel; the run goes on without it")
        return b""


def opened(data: bytes) -> tuple[Companion, ...]:
    """Those that were `packed`; none, where they cannot be opened here."""
    if not data:
        return ()
    if data not in _opened:
        try:
            _opened[data] = pickle.loads(data)  # noqa: S301  # ours, from the process that has the run
        except Exception as error:  # mostly: what it is from is not installed here
            logger.warning("the companion of a callback cannot be opened here, nodes run without it: %s", error)
            _opened[data] = ()
        while len(_opened) > _KEPT:
            _opened.pop(next(iter(_opened)), None)
    return _opened.get(data, ())


_KEPT = 16
_opened: dict[bytes, tuple[Companion, ...]] = {}
"""Those of the last runs: a worker opens them once, and complains once."""
