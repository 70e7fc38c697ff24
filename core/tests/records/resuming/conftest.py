from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from pipe_core.runtime import failpoints


@pytest.fixture
def armed() -> Iterator[Callable[[str], None]]:
    """Arms failpoints; without arguments, none."""
    with contextlib.ExitStack() as stack:

        def arm(text: str = "") -> None:
            stack.close()
            stack.enter_context(failpoints.armed(text))

        arm()
        yield arm
