"""What ends a run on Daft, what is inside of what, and what is refused before anything runs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, RunCancelledError, UnsupportedCapabilityError, node
from pipe_core.graph.scope import CancelToken
from pipe_daft import DaftEngine, expressions, refusals

DAFT = DaftEngine()
IN_LINE = Engine("sync", "sync")


@node
def given(value: Any) -> Any:
    return value


# --- refused ---


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"retries": 2}, "retries"),
        ({"timeout": 2}, "timeout"),
        ({"rate": 5}, "rate"),
        ({"concurrency": 1}, "concurrency"),
        ({"executor": "threads", "retries": 1}, "retries, executor"),
    ],
)
@pytest.mark.parametrize("engine", [DAFT, DaftEngine(collect=False)], ids=repr)
def test_what_a_node_says_of_how_it_runs_is_refused(policy: Any, said: str, engine: DaftEngine) -> None:
    ran: list[int] = []
    picky = node(output_name="out", name="picky", **policy)(ran.append)
    before = node(output_name="object")(lambda value: ran.append(value))
    inner = Pipeline([picky], name="inner")
    for pipeline in (Pipeline([before, picky]), Pipeline([before, inner]), Pipeline([before, Pipeline([inner])])):
        with pytest.raises(UnsupportedCapabilityError, match=rf"'picky' says {said}, .*engine=Engine\(\)"):
            pipeline.run({"value": 1}, engine=engine)
    assert ran == []


def test_with_an_engine_of_its_own_it_runs() -> None:
    tries: list[int] = []

    @node(retries=1)
    def fragile(value: int) -> int:
        tries.append(value)
        if len(tries) == 1:
            raise ConnectionError
        return value

    inside = Pipeline([fragile], engine=Engine("sync"))
    pipeline = Pipeline([inside, node(output_name="more")(lambda fragile: fragile + 1)])
    assert pipeline.run({"value": 1}, engine=DAFT) == {"fragile": 1, "more": 2}
    assert tries == [1, 1]


def test_another_runner_of_daft_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daft.runners.get_or_infer_runner_type", lambda: "ray")
    with pytest.raises(UnsupportedCapabilityError, match=r"'ray' here.*set_runner_native\(\)"):
        Pipeline([given]).run({"value": 1}, engine=DAFT)
    with pytest.raises(UnsupportedCapabilityError, match=r"'given'.*another one"):
        expressions.elsewhere("given")
    monkeypatch.undo()
    refusals.check_runner()


@pytest.mark.parametrize(("before", "after"), [(None, "0"), ("1", "1")])
def test_daft_tells_nobody_unless_it_was_asked_to(
    before: str | None, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", "")  # to be put back
    monkeypatch.delenv("DAFT_ANALYTICS_ENABLED")
    if before is not None:
        monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", before)
    Pipeline([given]).run({"value": 1}, engine=DAFT)
    assert os.environ["DAFT_ANALYTICS_ENABLED"] == after


# --- inside ---


@pytest.mark.timeout(30)
@pytest.mark.parametrize("mapped", [False, True])
def test_daft_inside_of_daft_does_not_wait_for_its_own_threads(mapped: bool) -> None:
    def nested(depth: int) -> Pipeline:
        if not depth:
            return Pipeline([given], engine=DaftEngine())
        inner = nested(depth - 1)
        as_node = inner.as_node({"value": "value"}, {"given": "given"}, map_over="value" if mapped else None)
        return Pipeline([as_node], engine=DaftEngine())

    value: Any = [[[[[1], [], [2, 3]]]]] if mapped else 1
    assert nested(5).run({"value": value}) == {"given": value}

    def deep(value: int) -> list[int]:
        if value == 0:
            return [0]
        inside = Pipeline([node(output_name="deep")(deep)], engine=DAFT)
        rows = inside.imap({"value": [value - 1]}, "value")
        return [value, *inside.run({"value": value - 1})["deep"], *next(rows)["deep"]]

    assert len(deep(4)) == 31


def test_an_engine_inside_inherits_what_is_around_it() -> None:
    heard: list[Any] = []

    class Listener:
        def on_node_start(self, node_id: str, inputs: Any, ctx: Any) -> None:
            heard.append((node_id, ctx.item, ctx.hierarchy_path, threading.current_thread()))

    here = threading.current_thread()
    for around, inside in ((IN_LINE, DAFT), (DAFT, IN_LINE), (DAFT, DaftEngine()), (DAFT, None)):
        inner = Pipeline([given], name="inner", engine=inside)
        outer = Pipeline([inner.as_node({"values": "value"}, map_over="values")], name="outer", callbacks=[Listener()])
        assert outer.run({"values": [5, 6]}, engine=around) == {"given": [5, 6]}
        assert heard == [("given", (0,), ("outer", "inner"), here), ("given", (1,), ("outer", "inner"), here)]
        heard.clear()


# --- ended ---


@pytest.mark.parametrize("how", ["map", "imap"])
def test_a_token_ends_it(how: str) -> None:
    token, ran = CancelToken(), []

    @node
    def cancels(value: int) -> int:
        ran.append(value)
        if value == 2:
            token.cancel()
        return value

    with pytest.raises(RunCancelledError):
        list(getattr(Pipeline([cancels]), how)({"value": range(9)}, "value", engine=DAFT, token=token))
    assert ran == [0, 1, 2]


def test_its_time_ends_it() -> None:
    ran: list[int] = []

    @node
    def slow(value: int) -> int:
        ran.append(value)
        time.sleep(0.05)
        return value

    @node
    async def endless(value: int) -> None:
        await asyncio.sleep(60)

    for on_error in ("raise", "continue"):
        with pytest.raises(TimeoutError, match=r"timeout of 0\.1 s"):
            Pipeline([slow]).map({"value": range(200)}, "value", engine=DAFT, timeout=0.1, on_error=on_error)
    assert len(ran) < 200
    with pytest.raises(TimeoutError, match=r"timeout of 0\.1 s"):
        Pipeline([endless]).run({"value": 1}, engine=DAFT, timeout=0.1)


def test_cancelling_who_awaits_ends_it() -> None:
    ended: list[int] = []

    @node
    async def endless(value: asyncio.Event) -> None:
        value.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    async def main() -> None:
        began = asyncio.Event()
        task = asyncio.create_task(Pipeline([endless]).arun({"value": began}, engine=DAFT))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == [1]


def test_what_is_no_exception_comes_through() -> None:
    @node
    def leaves(value: int) -> None:
        raise SystemExit(value)

    for on_error in ("raise", "continue"):
        with pytest.raises(SystemExit) as caught:
            Pipeline([leaves]).map({"value": [3, 4]}, "value", engine=DAFT, on_error=on_error)
        assert caught.value.code == 3


@pytest.mark.timeout(30)
def test_ctrl_c_waits_for_what_runs_and_begins_nothing_else() -> None:
    ran: list[Any] = []

    @node
    def interrupted(value: int) -> int:
        ran.append(value)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)  # Daft has given up meanwhile
        ran.append("ended")
        return value

    with pytest.raises(KeyboardInterrupt):
        Pipeline([interrupted]).map({"value": [0, 1, 2]}, "value", engine=DAFT)
    assert ran == [0, "ended"]
    assert Pipeline([given]).map({"value": [1, 2]}, "value", engine=DAFT)["given"] == [1, 2], "and the next one runs"
