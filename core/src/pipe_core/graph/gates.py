"""Gates: which of the steps that are ready may start now, by the policies of their nodes.

Pure decisions, as everywhere in the runtime: whoever owns the gates holds a lock and says what time it is.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_core.graph.flow import Work
    from pipe_core.graph.frames import Frame
    from pipe_core.graph.plan import Step


class Gates:
    """The nodes of one run that have policies."""

    def __init__(self) -> None:
        self._running: Counter[Any] = Counter()  # by node
        self._waiting: dict[Any, deque[Work]] = {}
        self._later: list[tuple[float, int, Frame, Step]] = []
        self._numbers = itertools.count()
        self._attempts: Counter[tuple[Frame, int]] = Counter()

    def admits(self, frame: Frame, step: Step, now: float) -> bool:
        """Whether *step* may start. If not, it comes back from `left` or from `due`."""
        node = step.node
        policies = node.policies
        if policies is None:
            return True
        if policies.concurrency is not None and self._running[node] >= policies.concurrency:
            self._waiting.setdefault(node, deque()).append((frame, step))
            return False
        if policies.rate is not None:
            wait = policies.rate.wait(now)
            if wait > 0:
                self._put_off(frame, step, now + wait)
                return False
        if policies.breaker is not None and not policies.breaker.take(now):
            self._put_off(frame, step, now + policies.breaker.wait(now))
            return False
        if policies.rate is not None:
            policies.rate.take(now)
        self._running[node] += 1
        return True

    def left(self, frame: Frame, step: Step, ok: bool | None, now: float) -> Work | None:
        """*step* has ended, well or not, or will not run (None). Gives another one of its node, which may ask again."""
        self._running[step.node] -= 1
        breaker = None if step.node.policies is None else step.node.policies.breaker
        if breaker is not None:
            if ok is None:
                breaker.leave()
            else:
                breaker.tell(ok, now)
        waiting = self._waiting.get(step.node)
        return waiting.popleft() if waiting else None

    def has_begun(self, frame: Frame, step: Step) -> bool:
        """Whether *step*, which is ready, waits for another attempt."""
        return (frame, step.index) in self._attempts

    def close(self) -> None:
        """The run is over: of what has not come back nobody hears more."""
        for node, count in self._running.items():
            if count > 0 and node.policies is not None and node.policies.breaker is not None:
                node.policies.breaker.leave()

    def again(self, frame: Frame, step: Step, error: Exception, now: float) -> bool:
        """Whether another attempt follows the one that has raised *error*. It comes back from `due` then."""
        policies = step.node.policies
        if policies is None or policies.retry is None:
            return False
        key = frame, step.index
        self._attempts[key] += 1
        after = policies.retry.after(self._attempts[key], error)
        if after is None:
            del self._attempts[key]
            return False
        self._put_off(frame, step, now + after)
        return True

    def _put_off(self, frame: Frame, step: Step, until: float) -> None:
        heappush(self._later, (until, next(self._numbers), frame, step))

    def due(self, now: float) -> list[Work]:
        """The steps whose time has come: they ask again."""
        found: list[Work] = []
        while self._later and self._later[0][0] <= now:
            found.append(heappop(self._later)[-2:])
        return found

    @property
    def next_time(self) -> float | None:
        """When to ask `due` again; None for never."""
        return self._later[0][0] if self._later else None
