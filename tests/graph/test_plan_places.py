"""What `Pipeline.plan` says of places is where nodes then run, and saying it starts nothing."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node

Where = tuple[bool, bool]

PLACES: dict[str, Where] = {
    "sync": (True, True),
    "threads": (True, False),
    "asyncio": (True, False),
    "loky": (False, False),
}
"""Whether it is this process, and whether it is the thread that waits for the run."""


def here(pid: int, thread: int) -> Where:
    return os.getpid() == pid, os.getpid() == pid and threading.get_ident() == thread


@node(output_name="plain")
def plain(pid: int, thread: int) -> Where:
    return here(pid, thread)


@node(output_name="awaited")
async def awaited(pid: int, thread: int) -> Where:
    return here(pid, thread)


@node(output_name="own", executor="threads")
def own(pid: int, thread: int) -> Where:
    return here(pid, thread)


INNER = Pipeline([node(output_name="inner")(lambda pid, thread, item: here(pid, thread))], name="each")


@pytest.mark.parametrize("items", ["sequential", "threaded", "parallel"])
@pytest.mark.parametrize("nodes", ["sequential", "threaded", "async", "parallel"])
def test_nodes_run_where_the_plan_says(nodes: str, items: str) -> None:
    pipeline = Pipeline([plain, own, INNER.as_node(map_over="items", input_mapping={"items": "item"})])
    inputs: dict[str, Any] = {"pid": os.getpid(), "thread": threading.get_ident(), "items": [1]}

    with Engine(nodes, items, max_workers=2) as engine:
        said = {one.name: one for one in pipeline.plan(inputs, engine=engine)}
        assert not engine._ours
        found = pipeline.run(inputs, engine=engine)

    assert found["plain"] == PLACES[said["plain"].runs_on]
    assert found["own"] == PLACES[said["own"].runs_on] == PLACES["threads"]
    assert said["each"].inside is not None
    (inner,) = said["each"].inside
    whole = inner.runs_on.rpartition(" in ")[2]
    assert found["inner"][0][0] == PLACES[whole][0]


def test_coroutines_go_to_the_loop_that_there_is() -> None:
    inputs = {"pid": os.getpid(), "thread": threading.get_ident()}
    with Engine(None, "async") as engine:
        said = {one.name: one.runs_on for one in Pipeline([plain, awaited]).plan(inputs, engine=engine)}
        found = Pipeline([plain, awaited]).run(inputs, engine=engine)

    assert said == {"plain": "sync", "awaited": "asyncio"}
    assert found == {name: PLACES[place] for name, place in said.items()}


def test_the_command_line_of_a_pipeline_runs_in_processes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        Pipeline([node(output_name="double")(lambda x: 2 * x)]).cli(
            ["--x", "[1, 2]", "--map-over", "x", "--engine", "loky"]
        )

    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out) == [{"double": 2}, {"double": 4}]
