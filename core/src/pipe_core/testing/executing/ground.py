"""What all tests of the executor kit stand on: making executors, ending them, waiting with a limit."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar, Final, TypeVar

import pytest

from pipe_core.kernel.kernel import Choice, current_kernel
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.select import choose_executor
from pipe_core.testing.executing.limits import within
from pipe_core.testing.kit import Conformance

T = TypeVar("T")

_SHARED: Final[dict[tuple[type, int], Executor]] = {}
"""The executors that most tests of a class use, by their prefetch: starting one may take seconds."""

_OWNED: Final[dict[int, concurrent.futures.Executor]] = {}
"""The pools that factories gave, by the id of the executor over them. They are shut down with it."""

_WORKERS: Final = 2
"""How many workers are asked for where nobody says."""


class Ground(Conformance):
    """Attributes and tools of `ExecutorConformance`."""

    executor: ClassVar[Any] = ""
    heavy: ClassVar[Sequence[str] | None] = None
    patience: ClassVar[float] = 10.0
    start_seconds: ClassVar[float] = 20.0

    # --- what a subclass may change ---

    def make_executor(self, prefetch: int = 0) -> Executor:
        """A fresh executor. Override it to test one that is not installed.

        Args:
            prefetch: How many calls a busy slot may hold ready.
        """
        asked = self._asked()
        if callable(asked):
            asked = asked()
            if isinstance(asked, Executor):
                return asked
        executor, _made = choose_executor(asked, self._defaults(asked), default=None)
        if prefetch:
            executor.hold_ready(prefetch)
        if isinstance(asked, concurrent.futures.Executor):
            _OWNED[id(executor)] = asked
        return executor

    # --- helpers ---

    @property
    def limit(self) -> float:
        """Seconds that one test may take."""
        return self.start_seconds + 2 * self.patience

    def _asked(self) -> Any:
        asked = type(self).executor  # through the class: a function of the class's body is no method here
        assert asked, f"{type(self).__name__} does not say which executor: executor = 'mine'"
        return asked

    def _choice(self) -> Choice | None:
        """The plugin, where the executor is one that was chosen by name."""
        asked = type(self).executor
        if not asked or callable(asked):
            return None
        found = current_kernel().choose("executors", asked, {}, default=None)
        return found if isinstance(found, Choice) else None

    def _defaults(self, asked: Any) -> dict[str, Any]:
        """Two workers, unless the test says how many or the executor cannot be told."""
        if isinstance(asked, concurrent.futures.Executor):
            return {}
        choice = self._choice()
        known = choice is not None and "max_workers" in type(choice.options).model_fields
        said = choice is not None and choice.sources.get("max_workers")
        return {"max_workers": _WORKERS} if known and not said else {}

    @contextmanager
    def _made(self, prefetch: int = 0) -> Iterator[Executor]:
        """A fresh executor for a block, which is shut down behind it whatever happened."""
        executor = within(self.start_seconds, lambda: self.make_executor(prefetch=prefetch))
        try:
            yield executor
        except BaseException:
            _end_by_force(executor)
            raise
        self._end(executor)

    def _end(self, executor: Executor) -> None:
        """Shut down. What hangs is ended by force, and fails the test."""
        try:
            within(self.patience + self.start_seconds, executor.shutdown)
        except BaseException:
            _end_by_force(executor)
            raise
        _end_owned(executor)

    @pytest.fixture(name="fresh")
    def _fresh(self) -> Iterator[Executor]:
        """An executor of this test alone."""
        with self._made() as executor:
            yield executor

    @pytest.fixture(name="ready")
    def _ready(self, request: pytest.FixtureRequest) -> Executor:
        """The executor that the tests of this class share. One that no longer works is replaced."""
        return self._shared(request, prefetch=0)

    @pytest.fixture(name="prefetching")
    def _prefetching(self, request: pytest.FixtureRequest) -> Executor:
        """Another one to share: its slots hold calls ready behind those that run."""
        return self._shared(request, prefetch=3)

    def _shared(self, request: pytest.FixtureRequest, prefetch: int) -> Executor:
        key = (type(self), prefetch)
        found = _SHARED.get(key)
        if found is not None and not self._works(found):
            _end_by_force(_SHARED.pop(key))
            found = None
        if found is None:
            found = _SHARED[key] = within(self.start_seconds, lambda: self.make_executor(prefetch=prefetch))
            node: Any = request.node.getparent(pytest.Class)
            node.addfinalizer(lambda: self._end_shared(key))
        return found

    def _end_shared(self, key: tuple[type, int]) -> None:
        executor = _SHARED.pop(key, None)
        if executor is not None:
            self._end(executor)

    def _works(self, executor: Executor) -> bool:
        try:
            return within(self.patience, lambda: executor.submit(abs, -1).result(self.patience)) == 1
        except BaseException:
            return False

    def _result(self, future: Future[T]) -> T:
        """What the call gave, as soon as it did."""
        return future.result(self.patience)

    def _error(self, future: Future[Any]) -> BaseException:
        """What the call raised, as soon as it did."""
        error = future.exception(self.patience)
        assert error is not None, f"the call gave {future.result(0)!r} and should have failed"
        return error

    def _results(self, futures: Sequence[Future[T]]) -> list[T]:
        """What the calls gave, in the order in which they were submitted."""
        _done, pending = concurrent.futures.wait(futures, self.patience)
        assert not pending, f"{len(pending)} of {len(futures)} calls have not ended, after {self.patience:g} s"
        return [future.result(0) for future in futures]

    def _same(self, executor: Executor, fn: Callable[..., T], *args: Any) -> T:
        """What a call of *fn* gives."""
        return self._result(executor.submit(fn, *args))

    def _check_alive(self, executor: Executor) -> None:
        """Every slot still gives right results."""
        count = 2 * executor.slots
        assert self._results([executor.submit(abs, -i) for i in range(count)]) == list(range(count))

    def _needs_background(self, executor: Executor) -> None:
        if executor.capabilities.isolation == "none":
            pytest.skip("calls run in the thread that submits them: nothing waits and nothing runs beside it")

    def _needs_processes(self, executor: Executor) -> None:
        if executor.capabilities.in_process:
            pytest.skip("calls run in this process")

    def _needs_one_process(self, executor: Executor) -> None:
        if not executor.capabilities.in_process:
            pytest.skip("calls run in other processes")


def _end_by_force(executor: Executor) -> None:
    """So that nothing of it holds up the tests that follow, nor the end of the interpreter."""
    try:
        within(2.0, executor.terminate)
    except BaseException:  # it is wrong already: the test that found out has said so
        return
    finally:
        _end_owned(executor, wait=False)


def _end_owned(executor: Executor, wait: bool = True) -> None:
    pool = _OWNED.pop(id(executor), None)
    if pool is not None:
        pool.shutdown(wait=wait, cancel_futures=True)
