"""What may be said of one node alone: attempts, limits of time and of rate, and where it runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from typing import Any

from pipe_core.graph.errors import NodeDefinitionError
from pipe_core.kernel.errors import OptionsError
from pipe_core.runtime.permits import CircuitBreaker, RateLimit
from pipe_core.runtime.resources import checked
from pipe_core.runtime.retries import Retry


@dataclass(frozen=True, slots=True)
class Policies:
    """See `Node`.

    Attributes:
        retry: Which failures are followed by another attempt, and when.
        timeout: How many seconds an attempt may take.
        rate: How often it may start.
        concurrency: How many of it may run at once, in one run.
        executor: Where it runs.
        resources: What it needs of its worker, by name, and has to itself while it runs.
        breaker: Keeps it from starting while what it uses fails.
    """

    retry: Retry | None = None
    timeout: float | None = None
    rate: RateLimit | None = None
    concurrency: int | None = None
    executor: Any = None
    resources: Mapping[str, float] | None = None
    breaker: CircuitBreaker | None = None

    @classmethod
    def of(
        cls,
        name: str,
        retries: int | Retry | None,
        timeout: float | None,
        rate: float | tuple[float, float] | RateLimit | None,
        concurrency: int | None,
        executor: Any,
        resources: Mapping[str, float] | None,
        breaker: CircuitBreaker | None = None,
    ) -> Policies | None:
        """What was said of the node *name*; None where nothing was.

        Raises:
            NodeDefinitionError: A number is out of its range, or resources are none.
            OptionsError: The retries or the rate are none.
        """
        if timeout is not None and (type(timeout) not in (int, float) or not timeout > 0):
            raise NodeDefinitionError(f"The node '{name}' wants positive seconds as timeout, not {timeout!r}.")
        if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
            raise NodeDefinitionError(
                f"The node '{name}' wants a whole number from 1 on as concurrency, not {concurrency!r}."
            )
        retry = retries if retries is None or isinstance(retries, Retry) else Retry(retries)
        needs = None if resources is None else _needs(name, resources)
        if breaker is not None and not isinstance(breaker, CircuitBreaker):
            raise NodeDefinitionError(f"The node '{name}' wants a CircuitBreaker as breaker, not {breaker!r}.")
        made = cls(retry, timeout, RateLimit.of(rate), concurrency, executor, needs, breaker)
        return None if made == cls() else made

    @property
    def place(self) -> Hashable:
        """What tells one `executor` from another one."""
        return self.executor if isinstance(self.executor, str) else id(self.executor)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without its breaker: where it travels to nobody decides what starts.
        values = (None if one.name == "breaker" else getattr(self, one.name) for one in fields(self))
        return Policies, tuple(_OfAnotherProcess(repr(one)) if isinstance(one, Executor) else one for one in values)


@dataclass(frozen=True, slots=True)
class _OfAnotherProcess:
    """Stands for an executor where a node has travelled without it. Nothing runs on it, and it is not asked to."""

    called: str

    def __repr__(self) -> str:
        return f"{self.called} of another process"


def _needs(name: str, resources: object) -> Mapping[str, float]:
    try:
        return checked(resources)
    except OptionsError as error:
        raise NodeDefinitionError(f"The node '{name}': {error}") from None
