"""What a run must be asked for, and what a pipeline's configuration is."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.config.models import NodeConfig, PipelineConfig
from pipe_core.project.dates import DateWindow
from pipe_core.project.validation import (
    MissingNodesError,
    PipelineConfigError,
    validate_node_configs,
    validate_pipeline_config,
    validate_required_params,
)

WINDOW = DateWindow("2025-01-01", "2025-01-31")


@pytest.mark.parametrize(
    ("given", "window"),
    [
        (("2025-01-01", "2025-01-31"), WINDOW),
        (("2025-01-01", None, None, "2025-01-31"), WINDOW),
        ((None, "2025-01-31", "2025-01-01", None), WINDOW),
        ((None, None, "2025-01-01", "2025-01-31"), WINDOW),
        (("2025-01-01", "2025-01-31", "1999-01-01", "1999-12-31"), WINDOW),
        ((date(2025, 1, 1), date(2025, 1, 31)), WINDOW),
        (("2025-01-01T00:00", "2025-01-01T12:00"), DateWindow("2025-01-01T00:00", "2025-01-01T12:00")),
    ],
)
def test_dates_of_the_run_come_before_those_of_the_project(given: Any, window: DateWindow) -> None:
    assert validate_required_params("daily", *given) == window
    assert validate_required_params("daily", *given, requires_dates=False) == window


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        (
            (None, None, None),
            {
                "pipeline_name": "Pipeline name is required",
                "start_date": "Start date is required",
                "end_date": "End date is required",
            },
        ),
        ((" ", "2025-01-01", "2025-01-31"), {"pipeline_name": "Pipeline name is required"}),
        (("daily", "2025-01-01", None), {"end_date": "End date is required"}),
        (("daily", "", "2025-01-31"), {"start_date": "Start date is required"}),
        (
            ("daily", "01.02.2025", "2025-13-01"),
            {"start_date": "start_date is '01.02.2025'", "end_date": "end_date is '2025-13-01'"},
        ),
        (("daily", "2025-02-30", "2025-03-01"), {"start_date": "start_date is '2025-02-30'"}),
        (("daily", "2025-02-01", "2025-01-01"), {"end_date": "before start_date"}),
        (("daily", "2025-01-01", "2025-01-02T10:00"), {"end_date": "not of the same kind"}),
    ],
)
def test_all_that_is_missing_or_wrong_is_told_at_once(given: Any, problems: dict[str, str]) -> None:
    with pytest.raises(OptionsError) as caught:
        validate_required_params(*given)
    assert isinstance(caught.value, ValueError)
    assert set(caught.value.problems) == set(problems)
    for name, text in problems.items():
        assert caught.value.problems[name].startswith(text)


def test_dates_may_be_left_out_where_they_are_not_required() -> None:
    assert validate_required_params("daily", requires_dates=False) is None
    with pytest.raises(OptionsError, match="End date is required"):  # half a window is none
        validate_required_params("daily", "2025-01-01", requires_dates=False)
    with pytest.raises(OptionsError, match="Pipeline name is required"):
        validate_required_params("", requires_dates=False)


@pytest.mark.parametrize(
    "pipeline",
    [
        {"nodes": ["a"]},
        {"nodes": ("a", {"b": {"timeout": 1}}, {"name": "c"})},
        PipelineConfig(name="daily", nodes=("a",)),
    ],
)
def test_pipelines_that_are_some(pipeline: Any) -> None:
    validate_pipeline_config(pipeline)


@pytest.mark.parametrize(
    ("pipeline", "text"),
    [
        (None, "not of type NoneType"),
        (["a"], "not of type list"),
        ({}, "has no keys"),
        ({"node": ["a"]}, "Did you mean 'nodes'"),
        ({"nodes": []}, "at least one node"),
        ({"nodes": "a"}, "a list of names, not of type str"),
        ({"nodes": {"a": 1}}, "not of type dict"),
        ({"nodes": ["a", None]}, "not None"),
        ({"nodes": [{"a": 1, "b": 2}]}, "A node of a pipeline is its name"),
    ],
)
def test_pipelines_that_are_none(pipeline: Any, text: str) -> None:
    with pytest.raises(PipelineConfigError, match=text) as caught:
        validate_pipeline_config(pipeline)
    assert isinstance(caught.value, ValueError)


def test_all_missing_nodes_are_listed() -> None:
    nodes = {"extract": NodeConfig(name="extract", function="a.b"), "load": {"function": "a.c"}, "gone": None}
    validate_node_configs(["extract", "load"], nodes)
    with pytest.raises(MissingNodesError) as caught:
        validate_node_configs(["extrakt", "load", "gone", "extrakt"], nodes)
    error = caught.value
    assert isinstance(error, ValueError)
    assert isinstance(error, LookupError)
    assert error.missing == ("extrakt", "gone")
    assert str(error).startswith("Missing node configurations: extrakt, gone. Did you mean 'extract'?")
    with pytest.raises(MissingNodesError, match=r"There are: n0, .*n9, \.\.\. \(30 in all\)"):
        validate_node_configs(["x"], {f"n{number}": {} for number in range(30)})
