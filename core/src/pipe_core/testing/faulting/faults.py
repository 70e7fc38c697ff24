"""When something fails: at its Nth operation, or by chance; and the loop over all N."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Any, Final

_MOST: Final = 10_000


class Faults:
    """Decides at each operation whether it fails. Shared by all that shall count together.

    Args:
        at: The operation that fails, from 1 on.
        chance: How likely each is to fail, where nobody says *at*.
        seed: Of the chance: the same one gives the same faults.
        only: The names of the operations that count. Default: all that whoever uses it has.
        late: Let the operation happen first: it was done, and nobody was told.
        error: Makes what is raised, of a text. Default: what the contract of the failing object names.
        instead: What happens in the place of an error, such as `Gate.pass_through`.

    Attributes:
        operations: How many there were.
        happened: Those that failed: their numbers and names.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        chance: float = 0.0,
        seed: int = 0,
        only: Collection[str] | None = None,
        late: bool = False,
        error: Callable[[str], BaseException] | None = None,
        instead: Callable[[], object] | None = None,
    ) -> None:
        self._at = at
        self._chance = chance
        self._random = random.Random(seed)
        self._only = only
        self._late = late
        self._error = error
        self._instead = instead
        self.operations = 0
        self.happened: list[tuple[int, str]] = []

    def around(
        self, name: str, operation: Callable[[], Any], error: Callable[[str], BaseException] = RuntimeError
    ) -> Any:
        """Do *operation*, or fail.

        Args:
            name: What it is called.
            operation: Does it.
            error: Makes what is raised, unless the faults know something else.
        """
        if self._only is not None and name not in self._only:
            return operation()
        self.operations += 1
        if not self._fails():
            return operation()
        number = self.operations
        self.happened.append((number, name))
        result = operation() if self._late else None
        if self._instead is None:
            behind = ", which was done" if self._late else ""
            raise (self._error or error)(f"a fault was asked for at operation {number}: {name}{behind}")
        self._instead()
        return result if self._late else operation()

    def _fails(self) -> bool:
        if self._at is not None:
            return self.operations == self._at
        return self._chance > 0 and self._random.random() < self._chance


def fail_at_each(run: Callable[[Faults], object], *, most: int = _MOST, **options: Any) -> int:
    """Call *run* with faults at operation 1, 2, 3 and so on, until it comes to its end without one.

    Args:
        run: Does something with what fails, goes on with it, and checks what came of it.
        most: Give up behind so many.
        options: Of `Faults`: *only*, *late* and *error*.

    Returns:
        At how many operations something failed.

    Raises:
        AssertionError: There is no operation that could fail, or no end of them.
    """
    for number in range(1, most + 1):
        faults = Faults(number, **options)
        try:
            run(faults)
        except BaseException as error:
            error.add_note(f"with a fault at operation {number}: {faults.happened or 'it was not reached'}")
            raise
        if not faults.happened:
            if number == 1:
                raise AssertionError("nothing could fail: is what fails a part of the run?")
            return number - 1
    raise AssertionError(f"there was a fault in each of {most:,} runs, and no end of them")
