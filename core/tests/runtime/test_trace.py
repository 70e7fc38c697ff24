from __future__ import annotations

import contextvars
import sys
import types

import pytest

from pipe_core import CodecError, Executor
from pipe_core.kernel.contracts import Outcome
from pipe_core.runtime.trace import entered_by, restore, run_id, traceparent
from pipe_core.runtime.wire import open_answer, pack_call, run_frame

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seen() -> tuple[str | None, str | None]:
    from pipe_core.runtime import trace

    return trace.traceparent.get(), trace.run_id.get()


async def seen_by_a_coroutine() -> tuple[str | None, str | None]:
    return seen()


def within(parent: str | None, run: str | None) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(traceparent.set, parent)
    context.run(run_id.set, run)
    return context


def answered(frame: bytes) -> Outcome:
    return contextvars.Context().run(lambda: open_answer(run_frame(frame)))


@pytest.mark.parametrize("fn", [seen, seen_by_a_coroutine])
@pytest.mark.parametrize("facts", [(PARENT, "run-1"), (PARENT, None), (None, "run-1"), (None, None)])
def test_the_trace_travels_with_a_call(fn: object, facts: tuple[str | None, str | None]) -> None:
    context = within(*facts)

    assert answered(context.run(pack_call, fn, (), {})).value == facts  # type: ignore[arg-type]  # both can be called
    assert answered(pack_call(fn, (), {}, context=context)).value == facts  # type: ignore[arg-type]  # as above


def test_the_trace_is_gone_after_the_call() -> None:
    def both() -> tuple[object, object]:
        first = open_answer(run_frame(pack_call(seen, (), {}, context=within(PARENT, "run-1")))).value
        return first, open_answer(run_frame(pack_call(seen, (), {}))).value

    assert contextvars.Context().run(both) == ((PARENT, "run-1"), (None, None))


def test_the_trace_reaches_other_processes(processes: Executor) -> None:
    traced = contextvars.copy_context()
    traced.run(traceparent.set, PARENT)

    assert traced.run(processes.submit, seen).result()[0] == PARENT
    assert processes.submit(seen).result()[0] is None


def test_without_a_trace_a_frame_is_as_small_as_ever() -> None:
    plain = pack_call(abs, (-1,), {}, context=within(None, None))

    assert plain[1:3] == b"\0\0"
    assert len(pack_call(abs, (-1,), {}, context=within(PARENT, None))) - len(plain) == len(PARENT) + 15


def test_facts_of_another_version_are_skipped() -> None:
    contextvars.copy_context().run(restore, {"baggage": "x"})


def note_parent(parent: str) -> None:
    run_id.set(f"entered {parent}")


def refuse_parent(parent: str) -> None:
    raise LookupError("no such span")


def entering(by: str, parent: str | None = PARENT) -> contextvars.Context:
    context = within(parent, None)
    context.run(entered_by.set, by)
    return context


def test_a_call_that_comes_in_enters_the_trace_in_its_own_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_tracer", types.SimpleNamespace(enter=note_parent))
    frame = pack_call(seen, (), {}, context=entering("a_tracer:enter"))
    assert answered(frame).value == (PARENT, f"entered {PARENT}")
    assert open_answer(run_frame(frame)).value == (PARENT, f"entered {PARENT}")
    assert run_id.get() is None
    assert answered(pack_call(seen, (), {}, context=entering("a_tracer:enter", None))).value == (None, None)


def test_a_trace_that_cannot_be_entered_is_said_once_and_the_call_is_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "a_tracer", types.SimpleNamespace(refuse=refuse_parent))
    for by, why in (("no_such_tracer_here:enter", "No module named"), ("a_tracer:refuse", "no such span")):
        caplog.clear()
        for _ in range(2):
            assert answered(pack_call(seen, (), {}, context=entering(by))).value == (PARENT, None)
        (record,) = caplog.records
        assert by in record.getMessage()
        assert why in record.getMessage()


def test_a_trace_too_large_is_refused() -> None:
    with pytest.raises(CodecError, match="more than 64 kB"):
        pack_call(abs, (-1,), {}, context=within("x" * 70_000, None))


def test_a_call_that_waits_keeps_the_trace_of_its_submit(processes: Executor) -> None:
    traced = contextvars.copy_context()
    traced.run(traceparent.set, PARENT)
    futures = [traced.run(processes.submit, seen) if i % 2 else processes.submit(seen) for i in range(40)]

    assert [future.result()[0] for future in futures] == [None, PARENT] * 20
