"""Which attempt follows which: what users' code may do there."""

from __future__ import annotations

import pytest

from pipe_core import Retry, TaskExecutor


@pytest.mark.parametrize("kind", [KeyError, SystemExit])
def test_a_predicate_that_raises_says_no_and_the_error_says_so(kind: type[BaseException]) -> None:
    def broken(error: BaseException) -> bool:
        raise kind

    error = ValueError()
    assert Retry(on=broken).after(1, error) is None
    assert kind.__name__ in error.__notes__[0]


def test_an_error_whose_attribute_raises_is_not_tried_again() -> None:
    class Odd(Exception):
        @property
        def retryable(self) -> bool:
            raise LookupError

    assert Retry().after(1, Odd()) is None


def test_a_call_whose_predicate_raises_ends_as_failed() -> None:
    def fail() -> None:
        raise ValueError("this one")

    with TaskExecutor("sync") as executor:
        future = executor.submit_with(retries=Retry(on=lambda error: 1 / 0))(fail)  # type: ignore[arg-type, return-value]  # that is the fault
        with pytest.raises(ValueError, match="this one"):
            future.result(10)
        assert executor.submit(pow, 2, 3).result(10) == 8
        assert executor.get_stats().failed_tasks == 1
