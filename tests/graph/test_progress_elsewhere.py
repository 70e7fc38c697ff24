"""The progress of runs whose items are in other processes."""

from __future__ import annotations

import io
import os
import re

import pytest

from pipe_core import Engine, Pipeline, ProgressCallback, node


@pytest.mark.parametrize(
    ("side", "why"),
    [
        ("node_executor", r"WorkerKilled: .* \(first in node 'dangerous' of item 3\)"),
        ("map_executor", r"ValueError: five \(.*node 'dangerous' of item 5\)"),  # nobody knows the node of item 3
    ],
)
def test_items_are_counted_also_when_a_process_dies(side: str, why: str) -> None:
    @node
    def dangerous(value: int) -> int:
        if value == 3:
            os._exit(3)
        if value == 5:
            raise ValueError("five")
        return value

    @node
    def behind(dangerous: int) -> int:
        return dangerous

    stream = io.StringIO()
    pipeline = Pipeline([dangerous, behind], name="numbers", callbacks=[ProgressCallback(stream=stream)])
    with Engine(**{side: "loky"}, max_workers=2) as engine:  # type: ignore[arg-type]  # one of its names
        pipeline.map({"value": range(60)}, "value", engine=engine, on_error="continue")

    last = stream.getvalue().splitlines()[-1]
    ended = "ended: 60 items in .*, 2 failed"
    if (
        side == "map_executor"
    ):  # of item 3 nothing is told but its end; where that is the last one, the run looks stopped
        ended = f"({ended}|failed: 59 of 60 items in .*, 1 failed)"
    assert re.fullmatch(rf"numbers {ended}; {why}", last)
