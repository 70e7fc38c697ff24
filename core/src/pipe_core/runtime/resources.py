"""Resources: what a call needs of its worker, such as a GPU, and has to itself while it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipe_core.kernel.errors import OptionsError
from pipe_core.runtime.task import Task

if TYPE_CHECKING:
    from pipe_core.runtime.executor import Executor


class NeedingTask(Task):
    """A task that needs something of its worker."""

    __slots__ = ("resources",)

    resources: Mapping[str, float] | None


def checked(resources: object) -> dict[str, float]:
    """*resources*, if they are some: names, and how much of each.

    Raises:
        OptionsError: They are none.
    """
    if not isinstance(resources, Mapping) or not resources:
        raise OptionsError(f'resources want names, and how much of each is needed: {{"GPU": 1}}, not {resources!r}.')
    for name, amount in resources.items():
        if not isinstance(name, str) or not name:
            raise OptionsError(f"resources want names that are text, not {name!r}.")
        if type(amount) not in (int, float) or not 0 < amount < math.inf:
            raise OptionsError(f"The resource '{name}' wants a positive number, not {amount!r}.")
    return dict(resources)


def needed(resources: object, executor: Executor) -> dict[str, float]:
    """*resources*, if they are some and *executor* knows such.

    Raises:
        OptionsError: They are none.
        UnsupportedCapabilityError: It does not; names the installed executors that do.
    """
    from pipe_core.runtime.select import require  # which imports executors

    found = checked(resources)
    require(executor, "resources")
    return found


def in_words(resources: Mapping[str, float]) -> str:
    """*resources* for messages: ``GPU=1, memory=2e+09``."""
    return ", ".join(f"{name}={amount:g}" for name, amount in resources.items())


def missing(resources: Mapping[str, float], executor: str, workers: Iterable[Mapping[str, float]]) -> str:
    """That none of the *workers* of *executor* has *resources*, and what they have, for messages."""
    found = dict.fromkeys(in_words(one) or "nothing" for one in workers)
    return (
        f"{in_words(resources)} is needed, and no worker of '{executor}' has that. What they have: "
        f"{'; '.join(found) or 'there is none'}. Ask for what there is, or start a worker that has it."
    )


def times(has: Mapping[str, float], resources: Mapping[str, float]) -> int:
    """How many times *resources* fit into what a worker or a machine *has*."""
    return min(math.floor(has.get(name, 0.0) / amount + 1e-9) for name, amount in resources.items())
