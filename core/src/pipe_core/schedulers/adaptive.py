"""`AdaptiveScheduler`: another way to write ``max_workers=(2, 8)``."""

from __future__ import annotations

from pipe_core.kernel.errors import OptionsError
from pipe_core.runtime.cores import cores
from pipe_core.schedulers.priority import AGE_AFTER, PriorityScheduler


class AdaptiveScheduler(PriorityScheduler):
    """The scheduler ``priority``, with how many workers its executor should have at least and at most.

    How many workers run is not for a scheduler to decide: it says which task goes next. The executor adapts, between
    the two numbers of `workers`, as with ``max_workers=(min_workers, max_workers)``.

    Args:
        min_workers: At least so many.
        max_workers: At most so many; default: the cores that this process may use, or `min_workers` if that is more.
        age_after: As of `PriorityScheduler`.

    Attributes:
        workers: The two numbers, for the executor.

    Raises:
        OptionsError: A number is no whole number from 1 on, or the least is more than the most.
    """

    def __init__(
        self, *, min_workers: int = 1, max_workers: int | None = None, age_after: float | None = AGE_AFTER
    ) -> None:
        super().__init__(age_after=age_after)
        least = _workers("min_workers", min_workers)
        most = max(least, cores()) if max_workers is None else _workers("max_workers", max_workers)
        if least > most:
            raise OptionsError(
                f"AdaptiveScheduler: min_workers is {least}, which is more than max_workers, {most}.",
                problems={"min_workers": "is more than max_workers"},
            )
        self.workers = (least, most)


def _workers(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionsError(
            f"AdaptiveScheduler: {name} wants a whole number from 1 on, not {value!r}.",
            problems={name: "is no whole number from 1 on"},
        )
    return value
