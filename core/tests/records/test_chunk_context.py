"""What an observer sets in the context of a run is seen where its chunks are processed."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from pipe_core import BaseHook, Pipe, hookimpl
from pipe_core.kernel.facts import RunInfo, TaskInfo

WHERE: ContextVar[str] = ContextVar("WHERE", default="nowhere")


class Sets:
    @hookimpl
    def pipe_run_started(self, run: RunInfo) -> None:
        assert run.context is not None
        run.context.run(WHERE.set, "run")

    @hookimpl
    def pipe_task_submitted(self, run: RunInfo, task: TaskInfo) -> None:
        if task.id:
            assert run.context is not None
            run.context.run(WHERE.set, f"chunk {task.id}")


class Looks(BaseHook):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def execute(self, entries: list[Any], store: Any) -> list[Any]:
        self.seen.append(WHERE.get())
        return entries


@pytest.mark.parametrize("starts", [False, True])
def test_hooks_see_what_was_set_before_their_chunk_was_handed_over(starts: bool) -> None:
    looks = Looks()
    pipe = Pipe([{"n": n} for n in range(6)], [], pre_validation_hooks=[looks], chunk_size=2, observers=[Sets()])
    if starts:
        pipe.start().wait()
    else:
        pipe.run()
    assert looks.seen == ["run", "chunk 1", "chunk 2"]
    assert WHERE.get() == "nowhere"
