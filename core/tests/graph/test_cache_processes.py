"""The cache on disk under several processes at once."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipe_core.graph.caching.claims import Claimed
from pipe_core.graph.caching.disk import DiskCache
from pipe_core.graph.caching.memory import MISSING

MAPPING = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pipe_core.graph.caching.memory import MISSING
from pipe_core.graph.caching.disk import Claimed, DiskCache
from pipe_core.graph.caching.signatures import sign

path, log, threads = sys.argv[1:]
made = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
cache = DiskCache(path)

def of(i):
    signature = sign(i)
    if cache.claim(signature, wait=40) is Claimed.MINE:
        os.write(made, b"%d\\n" % i)
        cache.put(signature, [i] * (1 if i % 2 else 20_000))
    return cache.get(signature)[0]

sys.stdin.readline()
with ThreadPoolExecutor(int(threads)) as pool:
    print(*pool.map(of, range(100)))
cache.close()
"""

CLAIMING = """
import sys
from pipe_core.graph.caching.disk import DiskCache
print(DiskCache(sys.argv[1]).claim("s").value, flush=True)
sys.stdin.readline()
"""

PUTTING = """
import os, sys
from pipe_core.graph.caching.disk import DiskCache
cache = DiskCache(sys.argv[1])
print(flush=True)
i = 0
while True:
    cache.put(str(i % 20), [i % 20] * 30_000)
    i += 1
"""


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> Iterator[DiskCache]:
    with DiskCache(tmp_path / "cache") as made:
        yield made


def started(script: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_every_item_is_made_once(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    others = [started(MAPPING, cache.path, log, threads) for threads in (1, 4, 4)]
    answers = [other.communicate("go\n", timeout=50)[0].split() for other in others]
    assert answers == [[str(i) for i in range(100)]] * 3
    made = [int(line) for line in log.read_text().splitlines()]
    assert sorted(made) == list(range(100))
    assert cache.size().entries == 100


def test_a_claim_ends_with_its_process(cache: DiskCache) -> None:
    with started(CLAIMING, cache.path) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "mine"
        assert cache.claim("s") is Claimed.THEIRS
        other.kill()  # and not waited for: it is a zombie, which makes nothing any more
        assert cache.claim("s", wait=30) is Claimed.MINE


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_may_be_killed_while_it_writes(cache: DiskCache) -> None:
    for _ in range(3):
        with started(PUTTING, cache.path) as other:
            assert other.stdout is not None
            other.stdout.readline()
            while not cache.has("5"):
                assert other.poll() is None
            other.send_signal(signal.SIGKILL)
        for i in range(20):
            assert cache.get(str(i), MISSING) in (MISSING, [i] * 30_000)
            cache.put(str(i), [i] * 30_000)
            assert cache.get(str(i)) == [i] * 30_000
        cache.remove("5")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_has_connections_of_its_own(cache: DiskCache) -> None:
    script = """
import os, sys
from pipe_core.graph.caching.disk import Claimed, DiskCache
cache = DiskCache(sys.argv[1])
cache.put("before", 1)
child = os.fork()
if not child:
    cache.put("child", cache.get("before"))
    is_own = cache._index._mine.connection.process == os.getpid()
    os._exit(0 if cache.claim("s") is Claimed.MINE and is_own else 1)
print(os.waitpid(child, 0)[1], cache.get("child"), cache.get("before"), cache.claim("s").value)
"""
    with started(script, cache.path) as other:
        assert other.communicate(timeout=50)[0].split() == ["0", "1", "1", "mine"]
    assert cache.get("child") == 1
