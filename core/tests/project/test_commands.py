"""Commands: what functions are given, once, and that what they raise comes through as it is."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from pipe_core import Command, ExperimentCommand, MLNodeCommand, NodeCommand
from pipe_core.kernel.errors import OptionsError

START, END = "2025-01-01", "2025-01-31"
KEYS = {"model_version", "hyperparams", "node_config", "pipeline_config", "execution_metadata", "session"}


def ml(function: Any, *inputs: Any, **said: Any) -> MLNodeCommand:
    return MLNodeCommand(function, inputs, START, END, "train", **said)


# --- what every function gets ---


def test_inputs_come_in_order_and_dates_by_name() -> None:
    def keyword_only(*dfs: Any, start_date: str, end_date: str) -> Any:
        return dfs, start_date, end_date

    found = NodeCommand(keyword_only, ["a", "b", "c"], START, END, "n").execute()
    assert found == (("a", "b", "c"), START, END)
    assert NodeCommand(keyword_only, [], START, END, "n").execute() == ((), START, END)


def test_dates_are_of_the_class_that_the_function_wants() -> None:
    def typed(rows: Any, start_date: date, end_date: datetime | None = None) -> Any:
        return start_date, end_date

    assert NodeCommand(typed, [1], START, END, "n").execute() == (date(2025, 1, 1), datetime(2025, 1, 31))


def test_functions_that_take_no_dates_are_given_none() -> None:
    assert NodeCommand(lambda rows: rows, [1], START, END, "n").execute() == 1
    assert NodeCommand(lambda rows, end_date: end_date, [1], START, END, "n").execute() == END
    assert NodeCommand(lambda **rest: rest, [], START, END, "n").execute() == {"start_date": START, "end_date": END}
    assert NodeCommand(lambda **rest: rest, [], None, None, "n").execute() == {}


def test_inputs_are_the_very_objects_and_the_list_is_left_alone() -> None:
    rows = [{"n": 1}]
    given = [rows]
    assert NodeCommand(lambda one: one, given, START, END, "n").execute() is rows
    assert given == [[{"n": 1}]]


# --- exceptions ---


class Odd(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"{code} {why}")


@pytest.mark.parametrize("error", [TypeError("got an unexpected keyword argument 'ml_context'"), Odd(3, why="no")])
@pytest.mark.parametrize("kind", [NodeCommand, MLNodeCommand])
def test_what_a_function_raises_comes_through_and_it_is_called_once(kind: Any, error: Exception) -> None:
    calls: list[dict[str, Any]] = []

    def fails(rows: Any, *, start_date: str, end_date: str, ml_context: Any = None) -> None:
        calls.append(ml_context)
        raise error

    command = kind(fails, [1], START, END, "n")
    with pytest.raises(type(error)) as raised:
        command.execute()
    assert raised.value is error
    assert error.__cause__ is None
    assert len(calls) == 1
    with pytest.raises(type(error)):
        command.execute()
    assert len(calls) == 2  # once for each time it is asked to


# --- what machine learning adds ---


def test_the_context_is_given_to_whoever_takes_it() -> None:
    def takes(*, ml_context: dict[str, Any]) -> Any:
        return ml_context

    def takes_all(**rest: Any) -> Any:
        return rest["ml_context"]

    session = object()
    node, pipeline = {"metrics": ["auc"]}, {"model_name": "m"}
    for function in (takes, takes_all):
        command = ml(function, model_version="2.1.0", node_config=node, pipeline_config=pipeline, session=session)
        context = command.execute()
        assert set(context) == KEYS
        assert context["model_version"] == "2.1.0"
        assert context["session"] is session
        assert (context["node_config"], context["pipeline_config"]) == (node, pipeline)
        assert context["execution_metadata"] is command.execution_metadata
    assert ml(lambda *rows, start_date: (rows, start_date), 1, model_version="1").execute() == ((1,), START)
    assert ml(lambda: "nothing").execute() == "nothing"


def test_nearer_hyperparameters_win() -> None:
    said = {"explicit": {"a": 1}, "node": {"a": 2, "b": 2}, "pipeline": {"a": 3, "b": 3, "c": 3}}
    command = ml(
        lambda ml_context: ml_context["hyperparams"],
        hyperparams=said["explicit"],
        node_config={"hyperparams": said["node"]},
        pipeline_config={"hyperparams": said["pipeline"]},
    )
    given = command.execute()
    assert given == command.hyperparams == {"a": 1, "b": 2, "c": 3}
    given["a"] = 9
    assert command.hyperparams["a"] == 1
    assert said == {"explicit": {"a": 1}, "node": {"a": 2, "b": 2}, "pipeline": {"a": 3, "b": 3, "c": 3}}
    with pytest.raises(OptionsError, match="'explicit' are of type list"):
        ml(lambda: 1, hyperparams=["a"])


def test_hyperparameters_may_be_anything() -> None:
    odd = {"loss": len, "set": {1, 2}, "when": date(2025, 1, 1), "net": object(), "nan": float("nan")}
    assert ml(lambda ml_context: ml_context["hyperparams"], hyperparams=odd).execute() == odd


def test_what_is_known_of_an_execution() -> None:
    seen: list[dict[str, Any]] = []

    def train(rows: Any, *, ml_context: dict[str, Any]) -> str:
        metadata = ml_context["execution_metadata"]
        seen.append(dict(metadata))
        metadata["accuracy"] = 0.9
        return "model"

    command = ml(train, 1, model_version="3", hyperparams={"depth": 2}, node_config={"metrics": ["auc"]})
    assert command.execution_metadata == {}
    assert command.execute() == "model"
    assert (seen[0]["status"], seen[0]["end_time"], seen[0]["duration_seconds"]) == ("running", None, None)
    found = command.execution_metadata
    assert (found["node_name"], found["model_version"], found["hyperparams"]) == ("train", "3", {"depth": 2})
    assert (found["status"], found["error"], found["metrics"], found["accuracy"]) == ("success", None, ["auc"], 0.9)
    began, ended = (datetime.fromisoformat(found[key]) for key in ("start_time", "end_time"))
    assert began <= ended
    assert began.utcoffset() is not None
    assert 0 <= found["duration_seconds"] < 60
    command.execute()
    assert "accuracy" not in seen[1]  # each execution has its own


def test_what_is_known_of_an_execution_that_failed() -> None:
    def fails() -> None:
        raise LookupError("no rows")

    def stops() -> None:
        raise KeyboardInterrupt

    command = ml(fails)
    with pytest.raises(LookupError):
        command.execute()
    assert command.execution_metadata["status"] == "failed"
    assert command.execution_metadata["error"] == "LookupError: no rows"
    assert command.execution_metadata["end_time"] is not None
    stopped = ml(stops)
    with pytest.raises(KeyboardInterrupt):
        stopped.execute()
    assert stopped.execution_metadata["status"] == "failed"


class Conf:
    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        if name.endswith("bad"):
            raise ValueError(name)
        self.said[name] = value


def test_a_session_is_told_of_hyperparameters_before_the_function_is_called() -> None:
    session = SimpleNamespace(conf=Conf())

    def looks(ml_context: dict[str, Any]) -> dict[str, str]:
        return dict(ml_context["session"].conf.said)

    command = ml(looks, hyperparams={"rate": 0.05, "depth": 8}, session=session)
    assert session.conf.said == {}
    assert command.execute() == {"pipe.ml.rate": "0.05", "pipe.ml.depth": "8"}
    for other in (None, object(), SimpleNamespace(conf=None), SimpleNamespace(conf=3)):
        assert ml(lambda: 1, hyperparams={"rate": 1}, session=other).execute() == 1
    refused = ml(looks, hyperparams={"bad": 1}, session=session)
    with pytest.raises(ValueError, match=r"pipe\.ml\.bad"):
        refused.execute()
    assert refused.execution_metadata["status"] == "failed"


# --- async ---


def test_async_functions_give_what_is_awaited() -> None:
    calls: list[str] = []

    async def train(rows: Any, *, start_date: date, ml_context: Any = None) -> Any:
        calls.append("called")
        await asyncio.sleep(0)
        if rows is None:
            raise LookupError("no rows")
        return rows, start_date, ml_context is not None

    plain = NodeCommand(train, [1], START, END, "n")
    assert asyncio.run(plain.execute()) == (1, date(2025, 1, 1), False)
    command = ml(train, 1)

    async def twice() -> Any:
        waiting = command.execute()
        assert command.execution_metadata["status"] == "running"
        return await waiting

    assert asyncio.run(twice()) == (1, date(2025, 1, 1), True)
    assert command.execution_metadata["status"] == "success"
    failing = ml(train, None)
    with pytest.raises(LookupError):
        asyncio.run(failing.execute())
    assert failing.execution_metadata["status"] == "failed"
    assert len(calls) == 3


# --- the protocol ---


def test_all_commands_are_commands() -> None:
    def square(point: list[float]) -> float:
        return point[0] ** 2

    commands: list[Command] = [
        NodeCommand(lambda: 1, [], START, END, "n"),
        ml(lambda: 2),
        ExperimentCommand(square, [(-1.0, 1.0)], n_calls=3, random_state=0, optimizer="random"),
    ]
    first, second, third = [command.execute() for command in commands]
    assert (first, second, third.fun >= 0) == (1, 2, True)
    assert repr(commands[1]) == "<MLNodeCommand train: 0 inputs>"
