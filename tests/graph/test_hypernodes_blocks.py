"""The blocks of code that describe hypernodes' engines, under our names, and what is said to come of them.

What runs at once is shown by work that waits for other work, not by a clock: if it were alone, it would wait in vain.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from pipe_core import Engine, Pipeline, node

pytestmark = pytest.mark.alone

WORDS = ["sequential", "async", "threaded", "parallel"]
PATIENCE = 20
"""For how many seconds something waits for others that never come."""


# --- quick start ---


@node(output_name="cleaned")
def clean(text: str) -> str:
    return text.strip()


@node(output_name="length")
def measure(cleaned: str) -> int:
    return len(cleaned)


QUICK_START = [
    Engine(),
    Engine(node_executor="sequential"),
    Engine(node_executor="async"),
    Engine(node_executor="async", map_executor="async"),
    Engine(node_executor="threaded", map_executor="threaded"),
    Engine(map_executor="parallel"),
    Engine(node_executor="threaded", map_executor="parallel"),
]


@pytest.mark.parametrize("engine", QUICK_START, ids=repr)
def test_every_engine_of_the_text_gives_the_same(engine: Engine) -> None:
    with engine:
        pipeline = Pipeline(nodes=[clean, measure], engine=engine)
        assert pipeline.run(inputs={"text": " ab "}) == {"cleaned": "ab", "length": 2}
        results = pipeline.map(inputs={"text": [" a", "bc ", ""]}, map_over="text")
    assert results["length"] == [1, 2, 0]


def test_sequential_is_one_at_a_time_in_the_order_of_the_graph() -> None:
    steps: list[str] = []

    @node(output_name="first")
    def begin(x: int) -> int:
        steps.append(f"first {x}")
        return x

    @node(output_name="second")
    def end(first: int) -> int:
        steps.append(f"second {first}")
        assert threading.current_thread() is threading.main_thread()
        return first

    Pipeline(nodes=[end, begin], engine=Engine(node_executor="sequential")).map(inputs={"x": [1, 2]}, map_over="x")
    assert steps == ["first 1", "second 1", "first 2", "second 2"]


# --- async: many addresses at once ---


class Counted(ThreadingHTTPServer):
    """Answers nobody before *wanted* requests are open at once, and counts how many were."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self, wanted: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.wanted = wanted
        self.open = self.most = self.asked = 0
        self.changed = threading.Condition()

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self.changed:
            self.asked += 1
            self.open += 1
            self.most = max(self.most, self.open)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.wanted, PATIENCE)
        try:
            yield
        finally:
            with self.changed:
                self.open -= 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Counted

    def do_GET(self) -> None:
        with self.server.counted():
            body = json.dumps({"path": self.path, "kind": "item"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def service(wanted: int) -> Iterator[Counted]:
    with Counted(wanted) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@node(output_name="data")
def fetch_api(url: str) -> dict[str, str]:
    """A plain function, that nobody has written for an event loop."""
    with build_opener(ProxyHandler({})).open(url, timeout=2 * PATIENCE) as response:
        found: dict[str, str] = json.load(response)
    return found


@node(output_name="processed")
def process(data: dict[str, str]) -> dict[str, int]:
    return {"count": len(data)}


@pytest.mark.parametrize(
    ("engine", "open_at_once"),
    [
        (Engine(map_executor="async"), 100),
        (Engine(map_executor="async", max_workers=10), 10),
        (Engine(map_executor="threaded", max_workers=10), 10),
        (Engine(map_executor="sequential"), 1),
    ],
    ids=repr,
)
def test_a_hundred_addresses_are_fetched(engine: Engine, open_at_once: int) -> None:
    with engine, service(open_at_once) as server:
        pipeline = Pipeline(nodes=[fetch_api, process], engine=engine)
        results = pipeline.map(inputs={"url": [f"{server.url}/item/{i}" for i in range(100)]}, map_over="url")
    assert results["processed"] == [{"count": 2}] * 100
    assert [data["path"] for data in results["data"]] == [f"/item/{i}" for i in range(100)]
    assert (server.asked, server.most) == (100, open_at_once)


# --- threads: matrices ---


def test_matrices_are_multiplied_in_threads() -> None:
    np = pytest.importorskip("numpy")
    pairs = threading.Barrier(2)  # 20 items in 2 threads: no product begins without another one beside it

    @node(output_name="matrix")
    def compute(size: int) -> Any:
        pairs.wait(PATIENCE)
        return np.full((size, size), 2.0) @ np.full((size, size), 3.0)

    with Engine(map_executor="threaded", max_workers=2) as engine:
        results = Pipeline(nodes=[compute], engine=engine).map(inputs={"size": [200] * 20}, map_over="size")
    assert len(results) == 20
    assert all(matrix.shape == (200, 200) and (matrix == 6.0 * 200).all() for matrix in results["matrix"])


# --- parallel: processes ---


@node(output_name="result")
def cpu_intensive(n: int) -> int:
    def fib(x: int) -> int:
        return x if x < 2 else fib(x - 1) + fib(x - 2)

    return fib(n)


@node(output_name="worker")
def worker() -> int:
    return os.getpid()


def test_numbers_are_computed_in_processes() -> None:
    with Engine(map_executor="parallel") as engine:
        pipeline = Pipeline(nodes=[cpu_intensive, worker], engine=engine)
        results = pipeline.map(inputs={"n": [15, 16, 17, 18, 15, 16, 17, 18]}, map_over="n")
    assert results["result"] == [610, 987, 1597, 2584] * 2
    assert os.getpid() not in results["worker"]


def meet(me: str, other: str, folder: Path) -> bool:
    """Whether somebody else was there at the same time."""
    (folder / me).touch()
    last = time.monotonic() + PATIENCE
    while not (folder / other).exists() and time.monotonic() < last:
        time.sleep(0.01)
    return (folder / other).exists()


def test_items_are_in_two_processes_at_once(tmp_path: Path) -> None:
    with Engine(map_executor="parallel", max_workers=2) as engine:
        pipeline = Pipeline(nodes=[node(output_name="met")(meet), worker], engine=engine)
        inputs = {"me": ["a", "b"], "other": ["b", "a"], "folder": tmp_path}
        results = pipeline.map(inputs=inputs, map_over=["me", "other"])
    assert results["met"] == [True, True]
    assert len({os.getpid(), *results["worker"]}) == 3


def test_lambdas_and_local_functions_travel() -> None:
    with Engine(map_executor="parallel") as engine:
        pipeline = Pipeline(nodes=[node(output_name="twice")(lambda x: 2 * x)], engine=engine)
        assert pipeline.map(inputs={"x": [1, 2]}, map_over="x")["twice"] == [2, 4]


# --- nodes at once ---

PAUSE = 0.5


@node(output_name="data")
def load_data() -> list[int]:
    time.sleep(PAUSE)
    return [1, 2, 3, 4, 5]


@node(output_name="stat_a")
def compute_a(data: list[int]) -> int:
    time.sleep(PAUSE)
    return sum(data)


@node(output_name="stat_b")
def compute_b(data: list[int]) -> int:
    time.sleep(PAUSE)
    return max(data)


@node(output_name="result")
def combine(stat_a: int, stat_b: int) -> dict[str, int]:
    time.sleep(PAUSE)
    return {"sum": stat_a, "max": stat_b}


@node(output_name="started")
def start() -> bool:
    return True


@pytest.mark.parametrize(("word", "pauses"), [("sequential", 4), ("threaded", 3), ("async", 3)])
def test_a_diamond_takes_as_long_as_its_longest_way(word: str, pauses: int) -> None:
    with Engine(node_executor=word) as engine:
        pipeline = Pipeline(nodes=[load_data, compute_a, compute_b, combine], engine=engine)
        Pipeline(nodes=[start], engine=engine).run()  # it comes up
        began = time.monotonic()
        outputs = pipeline.run(inputs={})
        took = time.monotonic() - began
    assert outputs["result"] == {"sum": 15, "max": 5}
    assert pauses * PAUSE <= took < (pauses + 0.9) * PAUSE


@pytest.mark.parametrize("word", ["async", "threaded"])
def test_nodes_that_do_not_need_each_other_run_at_once(word: str) -> None:
    together = threading.Barrier(2)

    @node(output_name="left")
    def left(data: list[int]) -> int:
        together.wait(PATIENCE)
        return sum(data)

    @node(output_name="right")
    def right(data: list[int]) -> int:
        together.wait(PATIENCE)
        return max(data)

    with Engine(node_executor=word, max_workers=2) as engine:
        pipeline = Pipeline(nodes=[left, right], engine=engine)
        assert pipeline.run(inputs={"data": [1, 2]}) == {"left": 3, "right": 2}


# --- nodes and items, each by a word of its own ---


class Meeting:
    """Two nodes of each of *items* items, that wait until so many calls are there at once."""

    def __init__(self, at_once: int) -> None:
        self._meets = threading.Barrier(at_once)
        self._lock = threading.Lock()
        self._open: list[int] = []
        self.items_at_once = 0
        self.order: list[tuple[str, int]] = []

    def visit(self, name: str, x: int) -> int:
        with self._lock:
            self._open.append(x)
            self.items_at_once = max(self.items_at_once, len(set(self._open)))
            self.order.append((name, x))
        self._meets.wait(PATIENCE)
        with self._lock:
            self._open.remove(x)
        return x

    def nodes(self) -> list[Any]:
        return [node(output_name=name)(self._visitor(name)) for name in ("left", "right")]

    def _visitor(self, name: str) -> Any:
        def visitor(x: int) -> int:
            return self.visit(name, x)

        return visitor


def test_pattern_1_nodes_at_once_and_one_item_after_the_other() -> None:
    meeting = Meeting(at_once=2)
    with Engine(node_executor="async", map_executor="sequential") as engine:
        results = Pipeline(nodes=meeting.nodes(), engine=engine).map(inputs={"x": [1, 2, 3]}, map_over="x")
    assert results == [{"left": x, "right": x} for x in (1, 2, 3)]
    assert meeting.items_at_once == 1
    assert [x for _, x in meeting.order] == [1, 1, 2, 2, 3, 3]


def test_pattern_2_one_node_after_the_other_and_items_in_processes() -> None:
    @node(output_name="first")
    def first(x: int) -> tuple[int, int, float]:
        return os.getpid(), threading.get_ident(), time.monotonic()

    @node(output_name="second")
    def second(x: int) -> tuple[int, int, float]:
        return os.getpid(), threading.get_ident(), time.monotonic()

    with Engine(node_executor="sequential", map_executor="parallel") as engine:
        results = Pipeline(nodes=[first, second], engine=engine).map(inputs={"x": range(8)}, map_over="x")
    assert len(results) == 8
    for (process, thread, before), other in zip(results["first"], results["second"], strict=True):
        assert process != os.getpid()
        assert (process, thread) == other[:2]
        assert before <= other[2]


def test_pattern_3_items_at_once_and_their_nodes_too() -> None:
    meeting = Meeting(at_once=20)  # two nodes of ten items
    with Engine(node_executor="async", map_executor="async") as engine:
        results = Pipeline(nodes=meeting.nodes(), engine=engine).map(inputs={"x": range(10)}, map_over="x")
    assert results == [{"left": x, "right": x} for x in range(10)]
    assert meeting.items_at_once == 10


# --- always measure ---


@node(output_name="waited")
def wait_for(data: int) -> int:
    time.sleep(0.05)
    return data


def test_always_measure() -> None:
    items = list(range(40))
    found, took = {}, {}
    for executor in WORDS:
        with Engine(map_executor=executor) as engine:
            pipeline = Pipeline(nodes=[wait_for], engine=engine)

            began = time.time()
            results = pipeline.map(inputs={"data": items}, map_over="data")
            took[executor] = time.time() - began
            found[executor] = results

    assert all(results == [{"waited": item} for item in items] for results in found.values())
    assert took["sequential"] >= 2.0  # 40 pauses
    assert took["async"] < 1.0  # at once, and half of that is far from it


# --- what the text forbids, and what works here ---


def test_nodes_run_in_processes_too(tmp_path: Path) -> None:
    @node(output_name="left")
    def left(folder: Path) -> tuple[bool, int]:
        return meet("left", "right", folder), os.getpid()

    @node(output_name="right")
    def right(folder: Path) -> tuple[bool, int]:
        return meet("right", "left", folder), os.getpid()

    with Engine(node_executor="parallel", max_workers=2) as engine:
        outputs = Pipeline(nodes=[left, right], engine=engine).run(inputs={"folder": tmp_path})
    met, processes = zip(*outputs.values(), strict=True)
    assert met == (True, True)
    assert len({os.getpid(), *processes}) == 3
