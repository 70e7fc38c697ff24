from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import pipe_core
from pipe_core import CodecError, ConfigError, Executor, OptionsError, PipeError, RemoteError, RunError, SourceError
from pipe_core.kernel.errors import (
    HookContractError,
    PluginConflictError,
    PluginDependencyError,
    PluginNotFoundError,
    SinkError,
    TargetExistsError,
    UnsupportedCapabilityError,
    WorkerKilled,
)
from pipe_core.runtime.wire import open_error, pack_error

OURS: list[PipeError] = [
    PipeError("text"),
    PluginNotFoundError("text", family="executors", name="rey", installed=["ray", "sync"]),
    PluginConflictError("text", family="hooks", name="x", distributions=("one", "two")),
    PluginDependencyError("text", family="hooks", name="x", distribution=None, missing="numpy"),
    UnsupportedCapabilityError("text", capability="share", executor="sync", able=["loky"]),
    OptionsError("text", problems={"first": "is wrong"}),
    ConfigError("text", path="pipe.yaml", line=3, key="sink"),
    HookContractError("text", hook="Mine"),
    CodecError("text", path="$.a[3]"),
    SourceError("text", source="in.csv", position=7),
    SinkError("text", sink="out.csv"),
    TargetExistsError("text", sink="out.csv"),
    RunError("text"),
    WorkerKilled("text", exit_code=-9),
    RemoteError("other.Kind: text", type_name="other.Kind", remote_traceback="Traceback ..."),
]


class Coded(Exception):
    """Says more in attributes than in its arguments."""


class Ours(PipeError):
    def __init__(self, message: str, *, rows: list[int], owner: object = None) -> None:
        super().__init__(message)
        self.rows = rows
        self.owner = owner


class Frozen(Exception):
    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError("frozen")


class Group(ExceptionGroup[Exception]):
    pass


class Strange(ExceptionGroup[Exception]):
    def __new__(cls, word: str) -> Strange:
        return super().__new__(cls, word, [ValueError(word)])

    def __init__(self, word: str) -> None:
        pass


def there_and_back(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return open_error(pack_error(raised))


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_our_errors_come_back_as_themselves_with_what_they_know(error: PipeError) -> None:
    found = there_and_back(error)
    facts = dict(vars(found))
    [note] = facts.pop("__notes__")

    assert type(found) is type(error)
    assert (str(found), found.args) == (str(error), error.args)
    assert facts == vars(error)
    assert note.startswith("Traceback of the worker:\n")


def test_our_errors_cross_real_borders(processes: Executor) -> None:
    def raising() -> None:
        raise pipe_core.SourceError("text", source="in.csv", position=7)

    found = processes.submit(raising).exception()

    assert isinstance(found, SourceError)
    assert (found.source, found.position, str(found)) == ("in.csv", 7, "text")


def test_what_is_not_plain_of_our_errors_is_none() -> None:
    found = there_and_back(Ours("text", rows=[1, 2], owner=object()))

    assert isinstance(found, Ours)
    assert (found.rows, found.owner, str(found)) == ([1, 2], None, "text")


def test_plain_attributes_of_other_errors_come_along() -> None:
    error = Coded("text")
    error.code, error.place, error.handle = 404, ("a", [1]), object()  # type: ignore[attr-defined]  # made up
    found = there_and_back(error)

    assert type(found) is Coded
    assert (found.code, found.place) == (404, ("a", [1]))  # type: ignore[attr-defined]  # as above
    assert not hasattr(found, "handle")


def test_own_notes_stay_before_the_traceback() -> None:
    error = Coded("text")
    error.add_note("mine")
    first, second = there_and_back(error).__notes__

    assert first == "mine"
    assert second.startswith("Traceback of the worker:\n")


def test_an_error_of_a_script_is_its_own_class_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type("BadRow", (Exception,), {"__module__": "__main__"})
    monkeypatch.setattr("__main__.BadRow", kind, raising=False)

    assert type(there_and_back(kind("x"))) is kind


# --- groups ---


def test_the_members_of_a_group_are_rebuilt() -> None:
    inner = ExceptionGroup("inner", [KeyError(("a", 1)), SourceError("text", source="x")])
    found = there_and_back(ExceptionGroup("outer", [ValueError("v"), inner, Group("g", [Coded(object())])]))

    assert type(found) is ExceptionGroup
    value, again, group = found.exceptions
    assert (type(value), str(value)) == (ValueError, "v")
    assert isinstance(again, ExceptionGroup)
    assert repr(again.exceptions) == repr(inner.exceptions)
    assert again.exceptions[1].source == "x"  # type: ignore[union-attr]  # a SourceError
    assert type(group) is Group
    assert isinstance(group.exceptions[0], RemoteError)
    assert "KeyError: ('a', 1)" in found.__notes__[0]


def test_a_group_of_base_exceptions_is_one() -> None:
    found = there_and_back(BaseExceptionGroup("many", [KeyboardInterrupt(), SystemExit(3)]))

    assert type(found) is BaseExceptionGroup
    assert list(map(repr, found.exceptions)) == ["KeyboardInterrupt()", "SystemExit(3)"]


def test_a_group_that_cannot_be_made_again_is_remote() -> None:
    found = there_and_back(Strange("word"))

    assert isinstance(found, RemoteError)
    assert str(found).endswith("Strange: word (1 sub-exception)")


# --- hostile errors ---


class Exits(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


class OddText(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307  # on purpose


class OddReduce(Exception):
    def __reduce__(self) -> Any:
        return (OddReduce,)


class Liar(Exception):
    __module__ = 5  # type: ignore[assignment]  # on purpose


class Renamed(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__qualname__", "__name__"):
            raise RuntimeError("nameless")
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=Renamed):
    pass


class ExitsWhenMade(Exception):
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        if type(self).made > 1:
            raise SystemExit(1)


class Closed(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class OddNotes(Exception):
    __notes__ = 3


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


HOSTILE: dict[str, Callable[[], BaseException]] = {
    "its text ends the process": Exits,
    "its text is none": OddText,
    "its module is none": lambda: Liar("x"),
    "its class has no name": Nameless,
    "it ends the process when made again": ExitsWhenMade,
    "it has no attributes": lambda: Closed("x"),
    "its notes are none": OddNotes,
    "it cannot be written on": lambda: Frozen("x"),
    "its argument has no text": lambda: ValueError(Text("x")),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_error_breaks_its_way_back(make: Callable[[], BaseException]) -> None:
    found = open_error(pack_error(make()))  # not raised: some of these cannot even be caught by pytest

    assert type(found) is RemoteError
    assert found.__notes__[-1].startswith("Traceback of the worker:\n")


def test_an_odd_reduction_is_not_followed() -> None:
    assert type(there_and_back(OddReduce())) is OddReduce


def test_causes_and_cycles_are_told() -> None:
    first, second = KeyError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    [note] = there_and_back(second).__notes__

    assert "KeyError: 'first'" in note
    assert "direct cause" in note


def test_the_traceback_begins_where_the_call_does(processes: Executor) -> None:
    async def failing() -> None:
        raise ValueError("x")

    for fn in (lambda: int("x"), failing):
        found = processes.submit(fn).exception()
        assert type(found) is ValueError
        assert re.match(
            r"Traceback of the worker:\nTraceback.*:\n  File \".*test_remote_errors.py\"", found.__notes__[0]
        )


def test_an_endless_recursion_comes_back() -> None:
    def deep() -> None:
        deep()

    try:
        deep()
    except RecursionError as error:
        found = open_error(pack_error(error))

    assert type(found) is RecursionError
    assert "in deep" in found.__notes__[0]


def test_a_deep_group_comes_back() -> None:
    group = ExceptionGroup("leaf", [ValueError("x")])
    for _ in range(3000):
        group = ExceptionGroup("many", [group])
    found = open_error(pack_error(group))

    assert isinstance(found, RemoteError)
    assert "many (1 sub-exception)" in str(found)


def test_no_error_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    import cloudpickle

    def fails(*_: object) -> None:
        raise AssertionError("an error was unpickled")

    packed = pack_error(ValueError("x", [1, (2,)]))
    for module in (pickle, cloudpickle):
        monkeypatch.setattr(module, "loads", fails)

    assert type(open_error(packed)) is ValueError
