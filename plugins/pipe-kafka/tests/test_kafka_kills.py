"""Processes that are killed while they read or write a topic."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Pipe, get_format
from pipe_core.project.catalog import Catalog

COUNT = 4000
SECONDS = 40.0

WRITES = """
import sys
from pipe_core import Pipe
Pipe(sys.argv[1], (sys.argv[2], {"run": "r"}), mode="append").run()
"""

STAGES = """
import json, sys, time
from pathlib import Path
from pipe_core.project.catalog import Catalog
# Small batches, so that the commit has a middle.
options = {"transactional_id": "t", "staging": sys.argv[2], "config": {"batch.num.messages": 20}}
data = Catalog({"orders": {"path": sys.argv[1], "mode": "append", "options": options}})
staged = data.stage("orders", [{"id": i} for i in range(int(sys.argv[3]))])
Path(sys.argv[4]).write_text(json.dumps(staged.state))
staged.commit()
time.sleep(600)
"""

FOLLOWS = """
import json, os, sys, time
from pathlib import Path
from pipe_core import get_format
url, folder = sys.argv[1], Path(sys.argv[2])
since = None
for number in range(1000):
    source = get_format("kafka").source(url)
    source.open()
    found = source.follow(since, 50)
    source.close()
    noted = {"since": since, "position": found.position, "ids": [one["id"] for one in found.records]}
    (folder / "new").write_text(json.dumps(noted))
    os.replace(folder / "new", folder / f"{number:04}.json")
    since = found.position
    time.sleep(0.02)
"""


@contextlib.contextmanager
def killed(code: str, *arguments: Any, when: Callable[[], bool]) -> Iterator[None]:
    """A process that runs *code*, until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE)
    try:
        limit = time.monotonic() + SECONDS
        while not when():
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < limit
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        yield
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL


def marks(messages: list[Any]) -> list[str]:
    return [value.decode() for message in messages for name, value in message.headers() if name == "pipe-key"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_run_that_is_made_again_loses_nothing_and_consumers_know_what_came_twice(
    cluster: Any, url: str, topic: str, tmp_path: Path
) -> None:
    cluster.make(topic)
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f'{{"id":{i}}}\n' for i in range(100 * COUNT)))
    with killed(WRITES, source, url, when=lambda: cluster.count(topic) > 0):
        pass
    first = cluster.messages(topic)
    assert 0 < len(first) < 100 * COUNT
    source.write_text("".join(f'{{"id":{i}}}\n' for i in range(len(first))))
    Pipe(source, (url, {"run": "r"}), mode="append").run()
    by_mark: dict[str, set[bytes]] = {}
    for message in cluster.messages(topic):
        by_mark.setdefault(marks([message])[0], set()).add(message.value())
    assert by_mark.items() >= {f"r:{i}": {b'{"id":%d}' % i} for i in range(len(first))}.items()
    assert {len(values) for values in by_mark.values()} == {1}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("middle", [0, 1, COUNT // 2])
def test_a_commit_that_is_killed_is_brought_to_its_end_once(
    cluster: Any, url: str, topic: str, tmp_path: Path, middle: int
) -> None:
    cluster.make(topic)
    folder, state = tmp_path / "staging", tmp_path / "state"
    folder.mkdir()

    def when() -> bool:
        return state.exists() and state.read_text().endswith("}") and cluster.count(topic) >= middle

    with killed(STAGES, url, folder, COUNT, state, when=when):
        pass
    there = cluster.count(topic)
    assert there >= middle
    options = {"transactional_id": "t", "staging": str(folder)}
    data = Catalog({"orders": {"path": url, "mode": "append", "options": options}})
    for _ in range(2):
        data.settle("orders", json.loads(state.read_text()))
        assert sorted(one["id"] for one in data.load("orders")) == list(range(COUNT))
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_follower_that_is_killed_is_followed_by_another(cluster: Any, url: str, topic: str, tmp_path: Path) -> None:
    for partition in range(4):
        cluster.send(topic, [b'{"id":%d}' % i for i in range(partition, COUNT, 4)], partition)
    with killed(FOLLOWS, url, tmp_path, when=lambda: (tmp_path / "0004.json").exists()):
        pass
    noted = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("0*.json"))]
    seen = [one for batch in noted for one in batch["ids"]]
    assert 200 <= len(seen) < COUNT
    source: Any = get_format("kafka").source(url)
    with contextlib.closing(source):
        source.open()
        for batch in noted[:5]:
            again = source.follow(batch["since"], 1, batch["position"])
            assert [one["id"] for one in again.records] == batch["ids"]
        rest = source.follow(noted[-1]["position"], 2 * COUNT)
    assert sorted([*seen, *(one["id"] for one in rest.records)]) == list(range(COUNT))
