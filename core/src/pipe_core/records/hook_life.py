"""The life of a worker's hooks: set up in order, torn down in reverse, with a store and an event loop between."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import RunError
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.store import HookStore
from pipe_core.runtime.run_loop import LoopLeft, RunLoop


class HookLife:
    """Sets up the hooks of one worker and tears them down.

    Args:
        program: The run's program.

    Attributes:
        store: The worker's store.
    """

    def __init__(self, program: Program) -> None:
        self.store = HookStore()
        self._program = program
        self._run_loop = program.loop  # for good: what hooks made in their setup may belong to it
        self._own_loop: RunLoop | None = None
        self._is_set_up: list[BoundHook] = []

    @property
    def is_left(self) -> bool:
        """Whether the run goes on with another event loop than these hooks."""
        return self._run_loop is not self._program.loop

    def setup(self) -> None:
        """Set up the hooks, in order.

        Raises:
            RunError: One failed; those before it were torn down again.
            LoopLeft: Another call blocks the event loop.
        """
        for hook in _once_each(self._program.hooks):
            try:
                self._call(getattr(hook.source, "setup", None))
            except LoopLeft:
                raise
            except BaseException as error:  # user code; ends the run with its reason
                self.teardown()
                raise RunError(
                    f"The hook {hook.name} failed in setup: {type(error).__name__}: {error_text(error)}"
                ) from error
            self._is_set_up.append(hook)

    def teardown(self) -> list[BaseException]:
        """Tear down the hooks that were set up, in reverse order, each once. What goes wrong is returned."""
        problems: list[BaseException] = []
        if self._own_loop is not None:
            self._own_loop.settle()
        while self._is_set_up:
            hook = self._is_set_up.pop()
            try:
                self._call(getattr(hook.source, "teardown", None))
            except BaseException as error:  # the others still get their turn
                error.add_note(f"in teardown of the hook {hook.name}")
                problems.append(error)
        if self._own_loop is not None:
            self._own_loop.close()
            self._own_loop = None
        return problems

    def cancel(self) -> None:
        """Cancel what the worker's own loop waits for. From any thread."""
        if self._own_loop is not None:
            self._own_loop.cancel()

    def loop(self) -> RunLoop:
        """The event loop of async hooks: the run's, and where that does not reach, one of the worker's own."""
        if self._run_loop is not None:
            return self._run_loop
        if self._own_loop is None:
            self._own_loop = RunLoop(stopping=lambda: self._program.stopping())
        return self._own_loop

    def _call(self, function: Callable[[HookStore], Any] | None) -> None:
        if function is not None and inspect.isawaitable(answer := function(self.store)):
            coroutine = answer if inspect.iscoroutine(answer) else _as_coroutine(answer)
            self.loop().run(coroutine, cleanup=True)


def _once_each(hooks: Sequence[BoundHook]) -> list[BoundHook]:
    """The hooks, one that is given on both sides only once."""
    return list({id(hook.source): hook for hook in hooks}.values())


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable
