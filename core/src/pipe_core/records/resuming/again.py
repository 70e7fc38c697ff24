"""Whether a source gives its records again: a run goes on behind those that it has read."""

from __future__ import annotations

import dis
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pipe_core.kernel.contracts import Source
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.places import is_place, without_options
from pipe_core.runs.errors import ResumeError


def check_again(given: Any, source: Source, *, resumed: bool) -> None:
    """Refuse a source from which nobody can leave out what was read before.

    A generator is made anew by the next process. One that has been begun already would lose records.

    Args:
        given: What a person gave.
        source: What that means.
        resumed: Whether the run goes on.

    Raises:
        OptionsError: It gives its records once.
        ResumeError: It is a generator that somebody has begun to read.
    """
    target = without_options(given)
    if is_place(target):
        if source.live:
            raise _once(f"{source.name} is read while it comes")
    elif _is_queue(target):
        raise _once("A queue gives each record once")
    elif inspect.isgenerator(target) or inspect.isasyncgen(target):
        if resumed and _has_begun(target):
            raise ResumeError(
                "The generator that this pipe reads has been begun already: what a resumed run left out would be "
                "records that nobody has seen. Make the pipe with a new one, or with an object "
                "whose __iter__ gives one."
            )
    elif isinstance(target, Iterator | AsyncIterator):
        raise _once(f"A {type(target).__name__} can be read once")


def _once(reason: str) -> OptionsError:
    return OptionsError(
        f"{reason}, and a run with checkpoint= is resumed by reading its source again up to where it stopped. Read a "
        f"file, a list, a generator or an object whose __iter__ begins anew; or leave checkpoint= out."
    )


def _is_queue(target: Any) -> bool:
    iterable = hasattr(target, "__iter__") or hasattr(target, "__aiter__")
    return not iterable and callable(getattr(target, "get", None))


def _has_begun(generator: Any) -> bool:
    if inspect.isgenerator(generator):
        return inspect.getgeneratorstate(generator) != inspect.GEN_CREATED
    frame = generator.ag_frame  # `inspect` knows the state of asynchronous ones from Python 3.12 on
    return frame is None or frame.f_code.co_code[frame.f_lasti] != dis.opmap["RETURN_GENERATOR"]
