"""A test of a kit cannot be dropped, replaced or marked away; it can be expected to fail, with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pipe_core.testing import SchedulerConformance
from pipe_core.testing.kit import Conformance, WeakenedKitError

NAME = "test_the_order_is_kept"


def reasonless(self: Any) -> None:
    """Passes."""


def excused(*arguments: Any, **keywords: Any) -> Callable[[Any], None]:
    def replacement(self: Any) -> None:
        raise AssertionError

    marked: Callable[[Any], None] = pytest.mark.xfail(*arguments, **keywords)(replacement)
    return marked


def subclass(*bases: type, **body: Any) -> type:
    return type("TestMine", bases or (SchedulerConformance,), {"scheduler": "fifo", **body})


@pytest.mark.parametrize(
    "replacement",
    [
        None,
        "text",
        reasonless,
        property(reasonless),
        excused(),
        excused(reason=""),
        excused(reason="  "),
        excused(False, reason="only elsewhere"),
        excused(condition=False, reason="only elsewhere"),
        pytest.mark.skip(reason="no time")(lambda self: None),
    ],
)
def test_a_test_cannot_be_dropped_or_replaced(replacement: Any) -> None:
    with pytest.raises(WeakenedKitError, match=f"TestMine .*{NAME}") as caught:
        subclass(**{NAME: replacement})
    assert caught.value.test == NAME
    assert "xfail(reason=" in str(caught.value)


def test_a_test_with_a_reason_may_be_replaced() -> None:
    assert subclass(**{NAME: excused(reason="https://tracker/17")})


def test_other_tests_and_options_are_free() -> None:
    assert subclass(ordered=True, test_of_my_own=reasonless, make_task=lambda self, sequence: None)


def test_a_mixin_cannot_drop_a_test() -> None:
    with pytest.raises(WeakenedKitError, match=NAME):
        subclass(type("Mixin", (), {NAME: None}), SchedulerConformance)


def test_a_subclass_of_a_subclass_is_held_to_the_kit() -> None:
    with pytest.raises(WeakenedKitError, match=NAME):
        subclass(subclass(), **{NAME: None})


def test_a_kit_made_of_a_kit_is_held_to_it() -> None:
    with pytest.raises(WeakenedKitError, match=NAME):
        type(SchedulerConformance)("Weaker", (SchedulerConformance,), {NAME: None}, kit=True)


def test_helpers_of_the_kit_belong_to_it() -> None:
    with pytest.raises(WeakenedKitError, match="_pushed") as caught:
        subclass(_pushed=lambda self, scheduler, count: [])
    assert caught.value.test == "_pushed"


def test_the_guard_cannot_be_dropped_either() -> None:
    with pytest.raises(WeakenedKitError, match="test_nothing_of_the_kit_was_dropped"):
        subclass(test_nothing_of_the_kit_was_dropped=None)


def test_the_kits_own_test_cannot_be_marked() -> None:
    class Kit(Conformance, kit=True):
        def test_something(self) -> None: ...

    marked = pytest.mark.xfail(reason="marks the function that all users of the kit share")(Kit.test_something)
    with pytest.raises(WeakenedKitError, match=r"super\(\)\.test_something"):
        type("TestMine", (Kit,), {"test_something": marked})


def test_what_was_dropped_later_is_noticed_when_the_tests_run() -> None:
    tests = subclass()
    setattr(tests, NAME, None)
    with pytest.raises(WeakenedKitError, match=NAME):
        tests().test_nothing_of_the_kit_was_dropped()


DROPPED = """
from pipe_core.testing import SchedulerConformance

class TestMine(SchedulerConformance):
    scheduler = "fifo"
    test_the_order_is_kept = None
"""

EXCUSED = """
import pytest
from pipe_core.testing import SchedulerConformance

class TestMine(SchedulerConformance):
    scheduler = "fifo"
    examples = 5

    @pytest.mark.xfail(reason="our queue is a heap")
    def test_the_order_is_kept(self):
        raise AssertionError
"""


def test_pytest_names_what_was_dropped(run_pytest: Callable[..., str]) -> None:
    output = run_pytest(DROPPED)
    assert "WeakenedKitError: TestMine drops the kit's test_the_order_is_kept" in output
    assert " passed" not in output


def test_pytest_shows_the_reason(run_pytest: Callable[..., str]) -> None:
    output = run_pytest(EXCUSED)
    assert "our queue is a heap" in output
    assert re.search(r"\d+ passed, 1 xfailed", output)
    assert " failed" not in output


def test_a_failing_kit_shows_its_values(run_pytest: Callable[..., str]) -> None:
    output = run_pytest(
        DROPPED.replace("test_the_order_is_kept = None", "make_scheduler = lambda self: [1]"), "-k", "empty"
    )
    assert re.search(r"assert 1 == 0\n.*where 1 = len\(\[1\]\)", output), output
