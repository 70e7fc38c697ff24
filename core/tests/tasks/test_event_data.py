from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from types import ModuleType
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, computed_field

from pipe_core import CodecError, OptionsError, RemoteError, SourceError
from pipe_core.tasks import Event, EventStatus, Unset
from pipe_core.tasks.error_data import error_from_dict, error_to_dict


class Job(Event):
    when: datetime | None = None
    sizes: set[int] = set()  # noqa: RUF012  # pydantic copies it
    code: Any = Field(default=None, exclude=True)

    async def _invoke(self) -> Any:
        if isinstance(self.code, BaseException):
            raise self.code
        return self.code


class SubJob(Job):
    depth: int = Field(default=0, alias="deepness")

    @computed_field
    def double(self) -> int:
        return 2 * self.depth


class OddError(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


def ran(event: Event) -> Event:
    asyncio.run(event.invoke())
    return event


def back(event: Event, mode: Any) -> Event:
    data = event.to_dict(mode)
    return Event.from_dict(json.loads(json.dumps(data)) if mode == "json" else data)


@pytest.mark.parametrize("mode", ["python", "json"])
def test_a_pending_event_comes_back_and_can_be_run(mode: str) -> None:
    event = SubJob(deepness=2, when="2026-01-01T00:00:00Z", sizes={1, 2}, metadata={"k": [1, None]}, timeout=3)
    again = back(event, mode)

    assert type(again) is SubJob
    assert (again.id, again.created_at, again.metadata) == (event.id, event.created_at, event.metadata)
    assert (again.when, again.sizes, again.depth) == (event.when, {1, 2}, 2)
    assert again.timeout is None  # not serialised
    assert again.execution == event.execution
    assert again.status is EventStatus.PENDING
    assert asyncio.run(again.invoke()) is None


@pytest.mark.parametrize("mode", ["python", "json"])
@pytest.mark.parametrize("response", [None, 0, "text", [1, {"a": None}], {"k": 1.5}])
def test_a_completed_event_comes_back_with_its_response(mode: str, response: Any) -> None:
    event = ran(Job(code=response))
    again = back(event, mode)

    assert again.execution == event.execution
    assert again.execution.status is EventStatus.COMPLETED
    assert asyncio.run(again.invoke()) == response  # it is not run again


def test_no_response_and_none_are_told_apart() -> None:
    assert "response" not in Job().to_dict()["execution"]
    assert ran(Job()).to_dict()["execution"]["response"] is None
    assert back(ran(Job(code=ValueError())), "json").execution.response is Unset


def test_python_data_keeps_what_json_could_not() -> None:
    value = object()
    assert back(ran(Job(code=(1, value))), "python").execution.response == (1, value)


@pytest.mark.parametrize("value", [object(), {"a": object(), "b": 1}, b"\xff", {object(): 1}])
def test_a_response_that_json_cannot_hold_is_marked(value: Any) -> None:
    data = ran(Job(code=value)).to_dict("json")

    assert "<unserialisable builtins." in json.dumps(data["execution"]["response"])
    if isinstance(value, dict) and "b" in value:
        assert data["execution"]["response"] == {"a": "<unserialisable builtins.object>", "b": 1}


def test_a_response_that_holds_itself_is_marked() -> None:
    value: list[Any] = []
    value.append(value)
    assert ran(Job(code=value)).to_dict("json")["execution"]["response"] == "<unserialisable builtins.list>"


def test_a_field_that_json_cannot_hold_is_refused_not_replaced() -> None:
    with pytest.raises(CodecError, match="JSON"):
        Job(metadata={"x": object()}).to_dict("json")
    assert back(Job(metadata={"x": Ellipsis}), "python").metadata == {"x": Ellipsis}


def test_another_mode_is_refused() -> None:
    with pytest.raises(OptionsError, match="'python' or 'json'"):
        Job().to_dict("db")  # type: ignore[arg-type]  # wrong on purpose


# --- errors ---


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad", 3),
        FileNotFoundError(2, "No such file", "a.csv"),
        KeyError("k"),
        SystemExit(3),
        asyncio.CancelledError(),
        TimeoutError(),
        SourceError("broken", source="a.csv", position=7),
        OddError(code=7),
        ExceptionGroup("many", [ValueError("a"), ExceptionGroup("deep", [OddError(code=1)])]),
        BaseExceptionGroup("many", [KeyboardInterrupt()]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("mode", ["python", "json"])
def test_an_error_comes_back_as_its_own_class(error: BaseException, mode: str) -> None:
    again = back(ran(Job(code=error)), mode).execution.error

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert error_to_dict(again) == error_to_dict(error)
    assert vars(again) == vars(error)


def test_an_error_of_a_class_that_is_not_loaded_is_a_remote_error_and_nothing_is_imported() -> None:
    module = "wsgiref.validate"
    assert module not in sys.modules
    error = error_from_dict({"type": f"{module}.Odd", "message": "m", "args": ["m"]})

    assert isinstance(error, RemoteError)
    assert (str(error), error.type_name) == (f"{module}.Odd: m", f"{module}.Odd")
    assert module not in sys.modules
    assert error_to_dict(error_from_dict(error_to_dict(error))) == error_to_dict(error)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.print", "builtins.int", "pipe_core.SourceError", "", "...", "x"]
)
def test_names_of_anything_else_make_a_remote_error(name: str) -> None:
    assert type(error_from_dict({"type": name, "message": "m", "args": ["m"]})) is RemoteError


def test_modules_that_load_when_they_are_looked_at_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            looked.append(name)
            return super().__getattribute__(name)

    looked: list[str] = []
    monkeypatch.setitem(sys.modules, "lazy_errors", Lazy("lazy_errors"))
    assert type(error_from_dict({"type": "lazy_errors.Odd", "message": "m", "args": []})) is RemoteError
    assert looked == []


def test_no_constructor_of_a_user_s_class_is_called() -> None:
    assert isinstance(error_from_dict(error_to_dict(Loud("x"))), Loud)
    assert Loud.made == ["x"]


class Loud(Exception):
    made: ClassVar[list[str]] = []

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.made.append(text)


def test_an_error_whose_text_cannot_be_made_is_told_nevertheless() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    event = back(ran(Job(code=Mute())), "json")
    assert isinstance(event.execution.error, RemoteError)
    assert "Mute" in str(event.execution.error)


def test_an_error_that_holds_what_is_not_plain_is_a_remote_error() -> None:
    error = back(ran(Job(code=ValueError(object()))), "json").execution.error
    assert isinstance(error, RemoteError)
    assert error.type_name == "builtins.ValueError"


def test_a_group_that_is_too_deep_is_cut_short() -> None:
    error: Exception = ValueError("core")
    for _ in range(500):
        error = ExceptionGroup("g", [error])
    assert isinstance(back(ran(Job(code=error)), "json").execution.error, ExceptionGroup)


# --- damaged data ---


GOOD = ran(Job(code=1)).to_dict("json")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"event_class": "os.system"}, "event_class"),
        ({"event_class": 7}, "event_class"),
        ({"id": "no"}, "id"),
        ({"surprise": 1}, "surprise"),
        ({"execution": []}, "execution"),
        ({"execution": {}}, "execution"),
        ({"execution": {"status": "done"}}, "execution.status"),
        ({"execution": {"status": "failed", "attempt": 0}}, "execution.attempt"),
        ({"execution": {"status": "failed", "duration": -1}}, "execution.duration"),
        ({"execution": {"status": "failed", "duration": float("nan")}}, "execution.duration"),
        ({"execution": {"status": "failed", "retryable": "yes"}}, "execution.retryable"),
        ({"execution": {"status": "failed", "error": "text"}}, "execution.error"),
        ({"execution": {"status": "failed", "error": {"type": 1}}}, "execution.error"),
        ({"execution": {"status": "failed", "more": 1}}, "execution.more"),
    ],
)
def test_damaged_data_is_refused_with_its_place(change: dict[str, Any], path: str) -> None:
    with pytest.raises(CodecError) as info:
        Event.from_dict(GOOD | change)
    assert info.value.path == path


def test_a_group_without_end_is_refused() -> None:
    data: dict[str, Any] = {"type": "builtins.ExceptionGroup", "message": "m", "text": "m"}
    data["exceptions"] = [data]
    with pytest.raises(CodecError, match="not deep"):
        error_from_dict(data)


def test_the_class_must_be_one_of_those_asked_for() -> None:
    data = Job().to_dict()
    assert type(Job.from_dict(data)) is type(Event.from_dict(data)) is Job
    with pytest.raises(CodecError, match="is of a Job, which is no SubJob"):
        SubJob.from_dict(data)
    del data["event_class"]
    assert type(Job.from_dict(data)) is Job


def test_a_class_that_is_not_defined_here_says_what_to_do() -> None:
    with pytest.raises(CodecError, match=r"No class of events named 'my\.Job'.*import the module"):
        Event.from_dict({"event_class": "my.Job"})


def test_classes_in_functions_come_back_too_and_strict_ones() -> None:
    class Inner(Event):
        model_config = ConfigDict(strict=True)
        when: datetime | None = None

    event = Inner(when=datetime(2026, 1, 1))
    again = back(event, "json")
    assert isinstance(again, Inner)
    assert again.when == event.when


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(response=json_values, metadata=st.dictionaries(st.text(), json_values, max_size=3))
def test_whatever_json_knows_makes_the_round_trip(response: Any, metadata: dict[str, Any]) -> None:
    event = ran(Job(code=response, metadata=metadata))
    for mode in ("python", "json"):
        again = back(event, mode)
        assert again.metadata == metadata
        assert again.execution == event.execution
        assert again.to_dict(mode) == event.to_dict(mode)
