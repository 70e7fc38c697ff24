"""Callbacks hear what happens in workers, and never go there."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from graph_events import Recording, check_order
from starting import Started

from pipe_core import Engine, Pipeline, node

pytestmark = pytest.mark.timeout(60)


@node
def scaled(value: int, factor: int = 2) -> int:
    return value * factor


@node
def total(scaled: list[int]) -> int:
    return sum(scaled)


ITEM = Pipeline([scaled], name="item")


class Held(Recording):
    """A callback that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_callbacks_stay_where_they_are(combined: Engine) -> None:
    held = Held()
    pipeline = Pipeline([ITEM.as_node(map_over="value"), total], name="outer", callbacks=[held])
    assert pipeline.map({"value": [[1, 2], [3]]}, "value", engine=combined)["total"] == [6, 6]
    check_order(held.told)
    assert held.threads == {threading.current_thread()}
    assert Counter(held.named("on_node_end")) == {"scaled": 3, "total": 2}


@pytest.mark.parametrize("call", ["run", "map"])
def test_a_pipeline_inside_has_callbacks_of_its_own(call: str, combined: Engine) -> None:
    around, inside = Held(), Held()
    child = ITEM.with_callbacks([inside]).as_node(map_over="value")
    silent = Pipeline([node(output_name="other")(lambda value: value)], name="silent", callbacks=[])
    for callbacks in ([around], None):
        around.told.clear()
        inside.told.clear()
        outer = Pipeline([child, total, silent], name="outer", callbacks=callbacks)
        if call == "run":
            outer.run({"value": [1, 2]}, engine=combined)
        else:
            outer.map({"value": [[1], [2]]}, "value", engine=combined)
        times = 1 if call == "run" else 2
        assert around.named("on_node_start") == (["total"] * times if callbacks else [])
        assert Counter(inside.named("on_node_start")) == {"scaled": 2}
        assert {one.path for one in inside.told} == {("outer", "item")}
        assert len(inside.named("on_map_item_end")) == 2
        assert [one.event for one in inside.told].count("on_map_end") == times


def test_what_is_told_but_cannot_travel_does_not_end_a_run(executors: Started) -> None:
    @node
    def made(value: int) -> Any:
        return threading.Lock()

    @node
    def used(made: Any) -> bool:
        return bool(made.acquire(blocking=False))

    held = Held()
    pipeline = Pipeline([made, used], name="locks")
    engine = Engine("sync", executors["loky"])
    assert pipeline.map({"value": [1, 2]}, "value", output_name="used", engine=engine)["used"] == [True, True]
    heard = pipeline.with_callbacks([held]).map({"value": [1, 2]}, "value", output_name="used", engine=engine)
    assert heard["used"] == [True, True]
    check_order(held.told)
    (first, *_) = [one for one in held.told if one.event == "on_node_end" and one.subject == "made"]
    assert "lock" in first.facts


def test_what_a_worker_raises_is_told_with_its_type(combined: Engine) -> None:
    @node
    def fails(value: int) -> int:
        raise LookupError(value)

    held = Held()
    with pytest.raises(LookupError):
        Pipeline([fails], callbacks=[held]).map({"value": [7]}, "value", engine=combined)
    check_order(held.told)
    assert [one.facts for one in held.told if one.event == "on_error"] == ["['fails', LookupError(7)]"]
