"""Companions of callbacks go along with calls of nodes; observers of the settings hear of pipelines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from pipe_core import CallbackContext, Engine, Pipeline, PipelineCallback, hookimpl, node, using
from pipe_core.graph.companions import opened, packed
from pipe_core.graph.relay import Recorder, relay
from pipe_core.graph.scope import Run, Scope
from pipe_core.graph.worker import _packed

AROUND: ContextVar[str] = ContextVar("AROUND", default="nothing")


class Companion:
    """Says in a context variable which call it is around. Its mark is that, and the thread."""

    @contextmanager
    def around(self, node_id: str, ctx: CallbackContext) -> Iterator[Any]:
        mark = [f"{'/'.join(ctx.hierarchy_path)} {ctx.item} {node_id}", threading.current_thread().name]
        token = AROUND.set(mark[0])
        yield mark
        AROUND.reset(token)
        mark.append("left")


class Sender(PipelineCallback):
    """Sends it along, and writes down what comes back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.ends: list[CallbackContext] = []
        self.errors: list[tuple[Any, ...]] = []
        self.starts: list[tuple[Any, ...]] = []

    def companion(self, ctx: CallbackContext) -> Companion:
        self.asked.append(ctx.hierarchy_path)
        return Companion()

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        self.starts.append(ctx.marks)

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        self.ends.append(ctx)

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        self.errors.append(ctx.marks)


@node
def seen(value: int) -> str:
    return f"{AROUND.get()} {threading.current_thread().name}"


@node
async def awaited(value: int) -> str:
    return AROUND.get()


@pytest.fixture(params=["sync", "pool"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "sync":
        yield Engine("sync")
        return
    with ThreadPoolExecutor(2, "pool") as pool:
        yield Engine(pool, pool)


def test_a_call_is_made_inside_of_the_companion_in_the_thread_of_the_call(engine: Engine) -> None:
    sender = Sender()
    inner = Pipeline([seen, awaited], name="inner").as_node(map_over="value")
    outer = Pipeline([inner], name="outer", callbacks=[sender])
    found = outer.run({"value": [1, 2]}, engine=engine)
    assert sender.asked == [("outer",)]
    assert found["awaited"] == [f"outer/inner ({index},) awaited" for index in (0, 1)]
    marks = {one.marks[0][0]: one.marks[0] for one in sender.ends}
    assert len(marks) == 4
    for index, text in enumerate(found["seen"]):
        name, thread, left = marks[f"outer/inner ({index},) seen"]
        assert (text, left) == (f"{name} {thread}", "left")
    assert sender.starts == [()] * 4
    assert all(one.behind is None for one in sender.ends)
    assert AROUND.get() == "nothing"


def test_a_call_that_fails_leaves_its_companion(engine: Engine) -> None:
    @node
    def fails(value: int) -> int:
        raise ValueError(AROUND.get())

    sender = Sender()
    with pytest.raises(ValueError, match=r"only \(\) fails"):
        Pipeline([fails], name="only", callbacks=[sender]).run({"value": 1}, engine=engine)
    ((mark,),) = sender.errors
    assert mark[-1] == "left"


def test_what_a_companion_raises_is_logged_and_the_node_runs(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Refuses(Sender):
        def companion(self, ctx: CallbackContext) -> Companion:
            raise LookupError("none today")

    class Enters(Companion):
        def around(self, node_id: str, ctx: CallbackContext) -> Any:
            raise LookupError("not in")

    class Leaves(Companion):
        @contextmanager
        def around(self, node_id: str, ctx: CallbackContext) -> Iterator[Any]:
            yield "mark"
            raise LookupError("not out")

    class Sends(Sender):
        def __init__(self, companion: Companion) -> None:
            super().__init__()
            self.sent = companion

        def companion(self, ctx: CallbackContext) -> Companion:
            return self.sent

    callbacks = [Refuses(), Sends(Enters()), Sends(Leaves()), plain := Sender()]
    with caplog.at_level(logging.ERROR):
        found = Pipeline([seen], name="only", callbacks=callbacks).run({"value": 1}, engine=engine)
    assert found["seen"].startswith("only () seen")
    assert [str(one.exc_info[1]) for one in caplog.records if one.exc_info] == ["none today", "not in", "not out"]
    (end,) = plain.ends
    assert end.marks[0] == "mark"
    assert end.marks[1][0] == "only () seen"


def test_a_pipeline_inside_with_callbacks_of_its_own_asks_them(engine: Engine) -> None:
    around, inside = Sender(), Sender()
    child = Pipeline([seen], name="inner", callbacks=[inside]).as_node()
    Pipeline([child], name="outer", callbacks=[around]).run({"value": 1}, engine=engine)
    assert (around.asked, around.ends) == ([("outer",)], [])
    assert inside.asked == [("outer", "inner")]
    assert inside.ends[0].marks[0][0] == "outer/inner () seen"


def test_steps_tell_apart_a_pipeline_that_is_twice_in_another(engine: Engine) -> None:
    inner = Pipeline([seen], name="inner")
    twice = [inner.as_node(output_mapping={"seen": name}, name=name) for name in ("left", "right")]
    sender = Sender()
    Pipeline(twice, name="outer", callbacks=[sender]).run({"value": 1}, engine=engine)
    assert sorted(one.steps for one in sender.ends) == [(0,), (1,)]
    assert {one.hierarchy_path for one in sender.ends} == {("outer", "inner")}


# --- to other processes ---


class Travels:
    def around(self, node_id: str, ctx: CallbackContext) -> Any:
        raise AssertionError("nobody calls it")


class Unfit(Travels):
    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


class Gone(Travels):
    def __reduce__(self) -> Any:
        return __import__, ("no_such_module_here",)


def test_what_cannot_travel_stays_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert packed(()) == b""
    assert opened(b"") == ()
    (there,) = opened(packed((Travels(),)))
    assert type(there).__name__ == "Travels"
    assert packed((Unfit(),)) == b""
    assert "it stays here" in str(caplog.records[0].exc_info)
    caplog.clear()
    data = packed((Gone(),))
    assert opened(data) == opened(data) == ()
    assert [one.getMessage() for one in caplog.records] == [
        "the companion of a callback cannot be opened here, nodes run without it: No module named 'no_such_module_here'"
    ]


def test_marks_come_back_with_the_clock_of_the_worker_and_those_that_cannot_travel_do_not() -> None:
    from pipe_core.graph.worker import Answer

    heard: list[Any] = []
    context = CallbackContext(("item",), (3,), {}, {}, (4,))
    context.marks, context.time = ("told", threading.Lock()), 1_000.0
    Recorder(heard).on_node_end("seen", {}, 0.1, context)
    import pickle

    answer: Answer = pickle.loads(_packed(Answer([[1]], 0.1, heard, clock=500.0), ["seen"]))
    sender = Sender()
    scope = Scope(Run(), Pipeline([seen], name="item"), callbacks=[sender])
    relay(answer.events, scope, answer.clock)
    (end,) = sender.ends
    assert (end.marks, end.steps, end.item) == (("told",), (4,), (3,))
    assert end.behind is not None
    assert end.time + end.behind == pytest.approx(1_500.0)


# --- observers of the settings ---


class Watcher:
    """An observer of both doors."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.size: Any = None

    @hookimpl
    def pipe_configure(self, settings: Any) -> None:
        self.size = settings["chunk_size"]

    def on_node_end(self, node_id: str, outputs: Any, duration: float, ctx: CallbackContext) -> None:
        self.told.append(node_id)


class Deaf:
    """An observer of runs of records."""

    @hookimpl
    def pipe_run_started(self) -> None:
        raise AssertionError("this is no run of records")


def test_observers_of_the_settings_hear_of_pipelines_that_have_no_callbacks() -> None:
    watcher = Watcher()
    pipeline = Pipeline([seen])
    with using(observers=[Deaf(), watcher], chunk_size=7):
        pipeline.run({"value": 1})
        assert watcher.size == 7
        pipeline.with_callbacks([]).run({"value": 1})
        assert watcher.told == ["seen"]
        list(pipeline.imap({"value": [1, 2]}, "value"))
        pipeline.map({"value": [1, 2]}, "value")
        with using(observers=[]):
            pipeline.run({"value": 1})
    pipeline.run({"value": 1})
    assert watcher.told == ["seen"] * 5
