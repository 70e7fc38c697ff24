"""`Conformance`: the base of all kits. A test of a kit can be expected to fail, with a reason; it cannot be dropped."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

_KITS: Final[dict[type, dict[str, tuple[Any, tuple[Any, ...]]]]] = {}
"""What belongs to each kit, with the marks it had when the kit was made. Not on the class, where it could be set."""


class WeakenedKitError(TypeError):
    """A subclass dropped or replaced a part of its kit. `test` is the part's name."""

    def __init__(self, message: str, *, test: str) -> None:
        super().__init__(message)
        self.test = test


class Conformance:
    """The base of a kit, and through it of the tests of a plugin.

    A kit is a subclass made with ``kit=True``: its tests and its methods with an underscore belong to it. A subclass of
    a kit may replace a test only by one that says ``@pytest.mark.xfail(reason="…")``; everything else is an error when
    the class is made, and once more when its tests run::

        class TestMine(SchedulerConformance):
            scheduler = "mine"

            @pytest.mark.xfail(reason="https://tracker/17: our queue has no remove()")
            def test_a_removed_task_is_never_popped(self):
                super().test_a_removed_task_is_never_popped()

    Raises:
        WeakenedKitError: A subclass dropped or replaced a part of its kit.
    """

    def __init_subclass__(cls, *, kit: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_kit(cls)
        if kit:
            _KITS[cls] = {name: (part, _marks(part)) for name, part in _parts(cls)}

    def test_nothing_of_the_kit_was_dropped(self) -> None:
        """Nor replaced behind the definition of the class."""
        check_kit(type(self))


def check_kit(tests: type[Conformance]) -> None:
    """Make sure that *tests* holds all of its kit, or of its kits.

    Raises:
        WeakenedKitError: It does not; names the first part that is missing.
    """
    for kit in tests.__mro__:
        for name, (part, marks) in _KITS.get(kit, {}).items():
            found = _found(tests, name)
            if found is not part:
                _check_replaced(tests, name, found)
            elif _marks(part) != marks:
                raise WeakenedKitError(
                    f"{tests.__name__} marks the kit's own {name}, which every other user of the kit shares. "
                    f"Write a method of that name, mark it, and call super().{name}() in it.",
                    test=name,
                )


def _check_replaced(tests: type, name: str, found: Any) -> None:
    if not name.startswith("test"):
        raise WeakenedKitError(
            f"{tests.__name__} replaces {name}, which belongs to the kit. Change only what has no underscore.",
            test=name,
        )
    if not isinstance(found, FunctionType):
        raise WeakenedKitError(
            f"{tests.__name__} drops the kit's {name}. Keep it and say why it fails: override it with a method marked "
            f'@pytest.mark.xfail(reason="…").',
            test=name,
        )
    if not any(_excuses(mark) for mark in _marks(found)):
        raise WeakenedKitError(
            f"{tests.__name__} overrides the kit's {name} without a reason. Mark it "
            f'@pytest.mark.xfail(reason="…"), without a condition, or remove it.',
            test=name,
        )


def _excuses(mark: Any) -> bool:
    # A condition would let the replacement run as an ordinary test wherever it does not hold.
    conditional = bool(mark.args) or "condition" in mark.kwargs
    return mark.name == "xfail" and not conditional and bool(str(mark.kwargs.get("reason") or "").strip())


def _marks(part: Any) -> tuple[Any, ...]:
    marks = getattr(part, "pytestmark", ())
    return tuple(marks) if isinstance(marks, list | tuple) else (marks,)


def _found(tests: type, name: str) -> Any:
    """What *name* stands for in *tests*, without binding it."""
    return next((vars(base)[name] for base in tests.__mro__ if name in vars(base)), None)


def _parts(kit: type) -> Iterator[tuple[str, Any]]:
    """What belongs to *kit*: its tests, and whatever has a name with one underscore."""
    for base in reversed(kit.__mro__[:-1]):
        for name, part in vars(base).items():
            private = name.startswith("_") and not name.startswith("__")
            if name.startswith("test") or (private and callable(part)):
                yield name, _found(kit, name)
