"""A provider of spans for each test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from span_trees import Spans

from pipe_core import get_observer


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def tracing(spans: Spans) -> Any:
    return get_observer("opentelemetry", tracer_provider=spans.provider)
