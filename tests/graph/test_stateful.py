"""What is stateful is made once in each process, and never travels."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node
from pipe_core.graph.stateful import Resource, stateful


@stateful
class Client:
    """Cannot be pickled, and says where it was made."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.Lock()
        (folder / f"{os.getpid()}-{id(self)}").touch()

    def ask(self, value: int) -> int:
        with self.lock:
            return value + 1


@node
def asked(client: Any, value: int) -> int:
    answer: int = client.ask(value)
    return answer


@pytest.mark.parametrize("where", ["sync", "threads", "asyncio", "loky"])
@pytest.mark.parametrize("side", ["nodes", "items"])
def test_each_process_makes_its_own_once(where: str, side: str, tmp_path: Path) -> None:
    client = Client(tmp_path)
    assert not list(tmp_path.iterdir())
    with Engine(**{"node_executor" if side == "nodes" else "map_executor": where}) as engine:
        found = Pipeline([asked]).map({"client": client, "value": range(40)}, "value", engine=engine)
    assert found["asked"] == list(range(1, 41))
    made = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(set(made)) == len(made) >= 1
    assert (str(os.getpid()) in made) == (where != "loky")


def test_it_is_told_by_how_it_is_made(tmp_path: Path) -> None:
    client = Client(tmp_path)
    assert isinstance(client, Resource)
    assert repr(client) == "<stateful Client>"
    assert client.__cache_key__()[1] == (tmp_path,)


def test_a_client_has_all_of_its_own_methods() -> None:
    client = stateful(lambda address: {"address": address})("a.example")
    assert client.get("address") == "a.example"
