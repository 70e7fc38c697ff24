from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import weakref
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from pydantic import ConfigDict, PrivateAttr, ValidationError

from pipe_core import OptionsError, PipeError
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks import Event, EventClassError, EventStatus, Unset, as_status


class Fetch(Event):
    url: str = ""
    tags: list[str] = []  # noqa: RUF012  # pydantic copies it

    async def _invoke(self) -> str:
        return f"page of {self.url}"


def test_there_is_one_enumeration_of_statuses_in_the_project() -> None:
    assert EventStatus is TaskStatus
    names = ["pending", "processing", "completed", "failed", "cancelled", "skipped", "aborted"]
    assert [status.value for status in EventStatus] == names


def test_a_status_is_given_by_its_member_or_its_name() -> None:
    assert as_status("pending") is as_status(EventStatus.PENDING) is EventStatus.PENDING


@pytest.mark.parametrize("value", ["complete", "", "PENDING", 7, None, []])
def test_an_unknown_status_is_refused_with_all_seven(value: Any) -> None:
    with pytest.raises(ValueError, match="pending, processing, completed, failed, cancelled, skipped, aborted") as info:
        as_status(value)
    assert isinstance(info.value, OptionsError)
    assert list(info.value.problems) == ["status"]


def test_a_status_with_a_typing_error_is_guessed() -> None:
    with pytest.raises(OptionsError, match="completed'"):
        as_status("complete")


def test_what_is_shown_of_an_event_begins_with_its_status() -> None:
    event = Fetch(url="a")
    assert repr(event).startswith(f"Fetch(status='pending', id={event.id!r}, ")
    asyncio.run(event.invoke())
    assert str(event).startswith("status='completed' id=")
    assert "url='a'" in str(event)


def test_a_new_event_is_pending_and_nothing_has_come_of_it() -> None:
    event = Fetch(url="a")
    execution = event.execution

    assert isinstance(event.id, UUID)
    assert event.id.version == 4
    assert event.created_at.tzinfo is UTC
    assert event.metadata == {}
    assert (event.timeout, event.streaming, event.request) == (None, False, {})
    assert event.status is execution.status is EventStatus.PENDING
    assert execution.duration is execution.response is execution.error is execution.retryable is Unset


def test_every_event_has_an_id_and_defaults_of_its_own() -> None:
    events = [Fetch() for _ in range(100)]
    events[0].tags.append("x")
    events[0].metadata["a"] = 1

    assert len({event.id for event in events}) == 100
    assert events[1].tags == []
    assert events[1].metadata == {}


def test_fields_that_nobody_declared_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Fetch(adress="a")  # type: ignore[call-arg]  # the mistake is the test


@pytest.mark.parametrize("name", ["id", "created_at", "timeout"])
def test_what_an_event_is_does_not_change(name: str) -> None:
    event = Fetch()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(event, name, getattr(Fetch(timeout=1), name))


def test_the_status_is_not_set_from_outside() -> None:
    with pytest.raises(AttributeError):
        Fetch().status = EventStatus.COMPLETED  # type: ignore[misc]  # that it has no setter is the test


def test_an_id_and_a_moment_may_be_given_and_are_kept_in_utc() -> None:
    moment = datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    event = Fetch(id="5ec6c3f6-0f7a-4a6f-8b0e-6a1d7a0c2a11", created_at=moment)

    assert event.id == UUID("5ec6c3f6-0f7a-4a6f-8b0e-6a1d7a0c2a11")
    assert event.created_at == moment
    assert event.created_at.tzinfo is UTC
    with pytest.raises(ValidationError, match="timezone"):
        Fetch(created_at=datetime(2026, 1, 1))


@pytest.mark.parametrize("timeout", [0, -1, 0.0, float("inf"), float("-inf"), float("nan"), True, "soon"])
def test_a_timeout_is_a_finite_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Fetch(timeout=timeout)


@pytest.mark.parametrize("timeout", [0, float("nan"), True])
def test_a_timeout_in_the_class_is_checked_there(timeout: Any) -> None:
    with pytest.raises(EventClassError, match="Slow: timeout is"):
        type("Slow", (Event,), {"timeout": timeout, "__annotations__": {"timeout": float}, "__module__": __name__})


def test_a_class_may_change_defaults_with_and_without_annotation() -> None:
    class Plain(Event):
        streaming = True

    class Annotated(Event):
        streaming: bool = True
        timeout: float | None = 3.0

    class Below(Plain):
        more: int = 0

    for kind in (Plain, Annotated, Below):
        assert kind().streaming is True
        assert kind(streaming=False).streaming is False
        assert not {"timeout", "streaming"} & (kind().model_dump().keys() | kind().to_dict().keys())
    assert Annotated().timeout == 3.0
    assert Annotated(timeout=None).timeout is None
    assert Event().streaming is False


# --- what a class may not do ---


def test_invoke_is_not_overridden() -> None:
    with pytest.raises(EventClassError, match=r"Bad overrides `invoke`.*`_invoke`") as info:

        class Bad(Event):
            async def invoke(self) -> Any:  # type: ignore[misc]  # that it is final is the test
                return 1

    assert isinstance(info.value, TypeError)
    assert isinstance(info.value, PipeError)


def test_nor_is_it_by_a_class_that_is_mixed_in() -> None:
    class Mixed:
        async def invoke(self) -> Any:
            return 1

    with pytest.raises(EventClassError, match="overrides `invoke`"):
        type("Bad", (Mixed, Event), {})


@pytest.mark.parametrize("name", ["status", "execution", "stream_chunks"])
def test_what_tells_the_truth_is_not_overridden(name: str) -> None:
    with pytest.raises(EventClassError, match=f"overrides `{name}`"):
        type("Bad", (Event,), {name: property(lambda self: None)})


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")  # pydantic's own, and only a warning
@pytest.mark.parametrize("name", ["status", "execution", "request", "event_class", "to_dict"])
def test_no_field_hides_what_every_event_has(name: str) -> None:
    with pytest.raises(EventClassError, match=f"has a field `{name}`"):
        type("Bad", (Event,), {"__annotations__": {name: dict}, name: {}, "__module__": __name__})


@pytest.mark.parametrize("name", ["_invoke", "stream"])
def test_a_generator_that_is_not_async_is_refused(name: str) -> None:
    def chunks(self: Event) -> Any:
        yield 1

    with pytest.raises(EventClassError, match=rf"Bad\.{name} is a generator.*async def"):
        type("Bad", (Event,), {name: chunks})


def test_request_is_a_property_to_override() -> None:
    class Call(Event):
        tokens: int = 3

        @property
        def request(self) -> dict[str, Any]:
            return {"tokens": self.tokens}

    assert Call(tokens=5).request == {"tokens": 5}


# --- fresh events ---


def test_a_fresh_event_is_the_same_work_to_be_done_anew() -> None:
    event = Fetch(url="a", tags=["x"], timeout=4, streaming=True, metadata={"deep": {"k": [1]}})
    asyncio.run(event.as_fresh_event().invoke())
    fresh = event.as_fresh_event()

    assert type(fresh) is Fetch
    assert fresh.id != event.id
    assert fresh.created_at >= event.created_at
    assert fresh.status is EventStatus.PENDING
    assert (fresh.url, fresh.tags, fresh.timeout, fresh.streaming) == ("a", ["x"], 4, True)
    assert fresh.tags is not event.tags
    assert fresh.metadata == {"original": {"id": event.id, "created_at": event.created_at}}
    assert event.metadata == {"deep": {"k": [1]}}


def test_a_fresh_event_has_a_copy_of_the_metadata_when_asked() -> None:
    event = Fetch(metadata={"deep": {"k": [1]}})
    fresh = event.as_fresh_event(copy_meta=True)
    fresh.metadata["deep"]["k"].append(2)

    assert event.metadata == {"deep": {"k": [1]}}
    assert fresh.as_fresh_event(copy_meta=True).metadata == {
        "deep": {"k": [1, 2]},
        "original": {"id": fresh.id, "created_at": fresh.created_at},
    }


def test_a_fresh_event_of_one_that_failed_can_be_run() -> None:
    class Flaky(Event):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lock: Any = None
        _runs: int = PrivateAttr(default=0)

        async def _invoke(self) -> int:
            self._runs += 1
            if "original" not in self.metadata:
                raise OSError("down")
            return self._runs

    lock = threading.Lock()  # something that cannot be copied
    event = Flaky(lock=lock)
    asyncio.run(event.invoke())
    fresh = event.as_fresh_event()

    assert event.status is EventStatus.FAILED
    assert asyncio.run(fresh.invoke()) == 1
    assert fresh.lock is lock


# --- identity and copies ---


@pytest.mark.parametrize("kind", [Event, Fetch])
def test_an_event_that_is_done_with_is_freed_at_once(kind: type[Event]) -> None:
    async def main() -> weakref.ref[Event]:
        event = kind()
        if kind is Fetch:
            await event.invoke()
        return weakref.ref(event)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_events_are_equal_when_their_ids_are() -> None:
    event, other = Fetch(url="a"), Fetch(url="a")

    assert event != other
    assert event == Fetch(id=event.id, url="b")
    assert event != "text"
    assert {event, other, copy.copy(event)} == {event, other}


@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, Event.model_copy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_a_copy_has_the_status_of_its_moment_and_a_life_of_its_own(made: Any) -> None:
    event = Fetch(url="a")
    early = made(event)
    asyncio.run(event.invoke())
    late = made(event)

    assert early.status is EventStatus.PENDING
    assert late.execution == event.execution
    assert late == early == event
    assert asyncio.run(early.invoke()) == "page of a"
    assert late._record is not event._record


def test_unset_is_one_and_false() -> None:
    assert not Unset
    assert repr(Unset) == "Unset"
    assert copy.deepcopy(Unset) is pickle.loads(pickle.dumps(Unset)) is Unset
