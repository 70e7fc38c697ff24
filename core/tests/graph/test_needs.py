"""What nodes need of their workers: refused where nobody knows what those have, whatever is around the node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from pipe_core import (
    Capabilities,
    Engine,
    Executor,
    MissingResourcesError,
    OptionsError,
    Pipeline,
    TaskExecutor,
    UnsupportedCapabilityError,
    node,
)
from pipe_core.graph.errors import NodeDefinitionError
from pipe_core.runtime.foreign import foreign_parts

ran: list[str] = []


@node
def first(i: int) -> int:
    ran.append("first")
    return i


@node(resources={"GPU": 1, "memory": 2e9})
def needy(first: int) -> int:
    ran.append("needy")
    return first + 1


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Knowing(Executor):
    """Threads of which each "has" a GPU. What was asked for is in `asked`."""

    def __init__(self, pool: ThreadPoolExecutor, has: list[dict[str, float]]) -> None:
        backend, parameters = foreign_parts(pool)
        super().__init__(backend, **{**parameters, "capabilities": Capabilities("thread", resources=True)})
        self.asked: list[Mapping[str, float]] = []
        self.has = has

    def resources(self) -> list[dict[str, float]]:
        return self.has

    def submit_needing(self, resources: Mapping[str, float], *call: Any, **kwargs: Any) -> Future[Any]:  # type: ignore[override]  # looser
        self.asked.append(resources)
        return super().submit_needing(resources, *call, **kwargs)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "want names, and how much of each"),
        ("GPU", "want names, and how much of each"),
        ({1: 1}, "want names that are text, not 1"),
        ({"GPU": 0}, "The resource 'GPU' wants a positive number, not 0"),
        ({"GPU": True}, "wants a positive number, not True"),
        ({"GPU": "1"}, "wants a positive number, not '1'"),
        ({"GPU": float("inf")}, "wants a positive number, not inf"),
    ],
)
def test_what_are_no_resources_is_said_at_the_node(wrong: Any, why: str, pool: ThreadPoolExecutor) -> None:
    with pytest.raises(NodeDefinitionError, match=f"The node 'named': .*{why}"):
        node(name="named", resources=wrong)(lambda: 1)
    with pytest.raises(OptionsError, match=why):
        Knowing(pool, []).submit_needing(wrong, print)


def test_where_nobody_knows_them_it_is_refused_before_anything_runs(pool: ThreadPoolExecutor) -> None:
    inner = Pipeline([needy], name="inner")
    pipelines = [
        Pipeline([first, needy]),
        Pipeline([first, inner]),
        Pipeline([first, inner.as_node(map_over="first")]),
    ]

    def each(inputs: dict[str, Any], engine: Engine) -> Any:
        return pipeline.map({"i": [inputs]}, "i", engine=engine)

    for pipeline in pipelines:
        for engine, called in ((Engine("sync", "sync"), "the calling thread"), (Engine(pool, pool), "Executor'")):
            for act in (pipeline.run, pipeline.plan, each):
                with pytest.raises(UnsupportedCapabilityError) as caught:
                    act({"i": 1}, engine=engine)
                assert "The node 'needy' needs GPU=1, memory=2e+09, and " in str(caught.value)
                assert called in str(caught.value)
                assert caught.value.capability == "resources"
    assert not ran


def test_of_an_executor_that_knows_them_they_are_asked_for(pool: ThreadPoolExecutor) -> None:
    with Knowing(pool, [{"GPU": 2, "memory": 3e9}, {}]) as executor:
        engine = Engine(None, executor)
        assert Pipeline([first, needy]).map({"i": [1, 2, 3]}, "i", engine=engine)["needy"] == [2, 3, 4]
        assert executor.asked == [{"GPU": 1, "memory": 2e9}] * 3, "and for the other node nothing is"
        mapped = Pipeline([Pipeline([first, needy]).as_node(map_over="i")])
        assert mapped.run({"i": [5]}, engine=engine)["needy"] == [6], "where the items inside run, they are known"
        assert Pipeline([first, needy]).run({"i": 1}, engine=Engine(executor))["needy"] == 2
        assert len(executor.asked) == 5


def test_what_is_inside_is_the_matter_of_its_own_engine(pool: ThreadPoolExecutor) -> None:
    with Knowing(pool, [{"GPU": 1, "memory": 2e9}]) as executor:
        inner = Pipeline([needy], engine=Engine(executor))
        outer = Pipeline([first, inner])
        assert outer.run({"i": 1}, engine=Engine("sync", "sync"))["needy"] == 2
        assert [one.name for one in outer.plan({"i": 1}, engine=Engine("sync", "sync"))] == ["first", "pipeline"]


def test_as_many_run_at_once_as_there_is_room_for(pool: ThreadPoolExecutor) -> None:
    open_at_once: list[int] = []
    here: list[int] = []

    @node(resources={"GPU": 2})
    def alone(i: int) -> int:
        here.append(i)
        open_at_once.append(len(here))
        here.remove(i)
        return i

    with Knowing(pool, [{"GPU": 3}]) as executor:
        Pipeline([alone]).map({"i": range(50)}, "i", engine=Engine(None, executor))
        assert set(open_at_once) == {1}
        executor.has = [{"GPU": 1}, {"GPU": 1}]
        with pytest.raises(MissingResourcesError) as caught:
            Pipeline([alone]).run({"i": 1}, engine=Engine(executor))
    assert str(caught.value) == (
        f"The node 'alone' cannot run: GPU=2 is needed, and no worker of '{executor.name}' has that. What they have: "
        "GPU=1. Ask for what there is, or start a worker that has it."
    )
    assert (caught.value.resources, caught.value.executor) == ({"GPU": 2}, executor.name)


def test_tasks_are_refused_where_nobody_knows_them() -> None:
    with TaskExecutor("sync") as executor:
        with pytest.raises(UnsupportedCapabilityError, match="does not offer 'resources'"):
            executor.submit_with(resources={"GPU": 1})
        with pytest.raises(UnsupportedCapabilityError, match="does not offer 'resources'"):
            executor.submit_needing({"GPU": 1}, print)


def test_the_plan_says_what_a_node_needs(pool: ThreadPoolExecutor) -> None:
    with Knowing(pool, []) as executor:  # what there is, is not asked
        found = Pipeline([first, needy]).plan({"i": 1}, engine=Engine(executor))
        assert [one.policies for one in found] == [{}, {"resources": {"GPU": 1, "memory": 2e9}}]
        assert "needs GPU=1, memory=2e+09" in str(found)
