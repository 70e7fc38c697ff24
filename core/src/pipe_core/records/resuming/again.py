"""What a run can be resumed with: a source that gives its records again, in order, and hooks that remember."""

from __future__ import annotations

import dis
import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.contracts import Source
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.places import is_place, without_options
from pipe_core.records.resuming.checkpoints import check_hooks
from pipe_core.runs.errors import ResumeError

if TYPE_CHECKING:
    from pipe_core.records.hooks import BoundHook
    from pipe_core.records.plan import Wishes


def check_keepable(wishes: Wishes, source: Source, hooks: Sequence[BoundHook], *, resumed: bool) -> None:
    """Refuse what a run cannot be resumed with.

    Raises:
        OptionsError: Its order is not kept, a hook would forget what it knows, or the source gives its records once.
        ResumeError: It goes on, and the source has been read already.
    """
    check_hooks([hook for hook in hooks if hook.kind == "run"])
    if not wishes.ordered:
        raise OptionsError(
            "A run with checkpoint= keeps the order of its source, so that it is known what is done: leave "
            "ordered=False out."
        )
    check_again(wishes.source, source, resumed=resumed)


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
