"""Sources and sinks that fail, around ones that do not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Literal, cast

from pipe_core.kernel.contracts import Sink, Source
from pipe_core.kernel.errors import SinkError, SourceError
from pipe_core.records.places import as_sink, as_source
from pipe_core.runtime.run_loop import RunLoop
from pipe_core.testing.faulting.faults import Faults

_SINK_CALLS: Final = ("open", "resume", "write", "checkpoint", "commit")
_SOURCE_CALLS: Final = ("open", "fingerprint")
_OPENING: Final = ("open", "resume")
"""What gives back what it took where it fails: nobody calls `close` behind it."""
_SOURCE_STEPS: Final = ("chunks", "splits", "splits_behind", "splits_from")


class _Wrapper(ABC):
    """Has all that what it wraps has: its methods as attributes, because protocols only count what is really there."""

    def __init__(self, wrapped: Any, faults: Faults) -> None:
        self._wrapped = wrapped
        self._faults = faults
        for name in dir(type(wrapped)):
            if not name.startswith("_") and callable(getattr(type(wrapped), name)):
                setattr(self, name, self._method(name, getattr(wrapped, name)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not yet there, where this is being copied
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    @abstractmethod
    def _method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in the place of *method*."""

    def _flaky(
        self, name: str, method: Callable[..., Any], error: Callable[[str], BaseException]
    ) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            done = False

            def operation() -> Any:
                nonlocal done
                result = method(*args, **kwargs)
                done = True
                return result

            try:
                return self._faults.around(name, operation, error)
            except BaseException:
                if done and name in _OPENING:
                    self._wrapped.close()
                raise

        return call

    @property
    def name(self) -> str:
        """As that of what it wraps, so that a run which began with the one goes on with the other."""
        return cast(str, self._wrapped.name)


class FlakySink(_Wrapper):
    """A sink whose operations fail when *faults* says so: open, resume, write, checkpoint, commit.

    Whatever else the wrapped sink has, this one has too: what can be resumed can be resumed through it.

    Args:
        sink: What `Pipe` takes as a sink.
        faults: When an operation fails. It raises `SinkError` then, unless the faults know something else.
    """

    def __init__(self, sink: Any, faults: Faults) -> None:
        wrapped = as_sink(sink, RunLoop())
        if wrapped is None:
            raise TypeError("FlakySink wants a sink, not None.")
        super().__init__(wrapped, faults)

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """What the wrapped one promises."""
        return cast(Sink, self._wrapped).delivery

    def _method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if name not in _SINK_CALLS:
            return method
        return self._flaky(name, method, partial(SinkError, sink=self.name))


class FlakySource(_Wrapper):
    """A source that fails when *faults* says so: as it is opened, asked what it is, or gives its next chunk or split.

    Args:
        source: What `Pipe` takes as a source.
        faults: When an operation fails. It raises `SourceError` then, unless the faults know something else.
    """

    def __init__(self, source: Any, faults: Faults) -> None:
        super().__init__(as_source(source, RunLoop()), faults)

    @property
    def live(self) -> bool:
        """As that of the wrapped one."""
        return cast(Source, self._wrapped).live

    @property
    def fields(self) -> Sequence[str] | None:
        """Those of the wrapped one."""
        return cast(Source, self._wrapped).fields

    @property
    def size(self) -> int | None:
        """That of the wrapped one."""
        return cast(Source, self._wrapped).size

    def _method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        error = partial(SourceError, source=self.name)

        def steps(*args: Any, **kwargs: Any) -> Iterator[Any] | None:
            found = method(*args, **kwargs)
            return None if found is None else self._each(name, found, error)

        if name in _SOURCE_STEPS:
            return steps
        return self._flaky(name, method, error) if name in _SOURCE_CALLS else method

    def _each(self, name: str, steps: Iterator[Any], error: Callable[[str], BaseException]) -> Iterator[Any]:
        end = object()
        while (one := self._faults.around(name, lambda: next(steps, end), error)) is not end:
            yield one
