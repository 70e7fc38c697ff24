"""What cannot travel to another process, or back, is called by the name that people gave it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pipe_core import CodecError, Engine, Pipeline, node

LOCK = threading.Lock()


@node
def holds(value: int) -> bool:
    return LOCK.locked() and value > 0


@node
def locks(value: int) -> Any:
    return threading.Lock()


@node
def takes(value: int, lock: Any) -> int:
    return value


@pytest.mark.parametrize(
    ("pipeline", "inputs", "text"),
    [
        (
            Pipeline([takes]),
            {"lock": threading.Lock()},
            r"The input 'lock' of the (node 'takes'|pipeline) ",
        ),
        (Pipeline([locks]), {}, r"The output 'locks' \(a lock\) cannot travel back"),
        (Pipeline([holds]), {}, r"The node 'holds' cannot travel to another process"),
    ],
    ids=["input", "output", "node"],
)
def test_what_cannot_travel_is_named(pipeline: Pipeline, inputs: dict[str, Any], text: str) -> None:
    with Engine("loky", "loky", max_workers=1) as engine:
        with pytest.raises(CodecError, match=text):
            pipeline.run({**inputs, "value": 1}, engine=engine)
        with pytest.raises(CodecError, match=text):
            pipeline.map({**inputs, "value": [1, 2, 3]}, "value", engine=engine)
