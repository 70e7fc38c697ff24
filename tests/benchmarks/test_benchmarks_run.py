"""The benchmarks run, and what they say of each other is computed rightly."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks, which are scripts and no package."""
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return import_module(name)

    monkeypatch.syspath_prepend(str(HERE))
    yield load
    for name in set(sys.modules) - before:
        if (path := getattr(sys.modules[name], "__file__", None)) and Path(path).parent == HERE:
            del sys.modules[name]


def test_orders_are_the_same_every_time_and_as_many_bad_as_said(module: Any) -> None:
    from pydantic import ValidationError

    orders, schema = module("orders"), module("schema")
    first, second = list(orders.orders(2000)), list(orders.orders(2000))
    assert first == second
    wrong = set()
    for order in first:
        try:
            schema.Order.model_validate(order)
        except ValidationError as error:
            wrong.add((order["order_id"], error.errors()[0]["loc"]))
    assert len(wrong) == orders.bad_count(2000) == 40
    assert {place for _, place in wrong} == {("email",), ("age",), ("amount",), ("status",)}


def test_csv_and_json_lines_hold_the_same_orders(module: Any, tmp_path: Path) -> None:
    import csv

    orders = module("orders")
    with open(orders.prepared(tmp_path, "csv", 300), newline="", encoding="utf-8") as file:
        texts = list(csv.DictReader(file))
    lines = orders.prepared(tmp_path, "jsonl", 300).read_text(encoding="utf-8").splitlines()
    assert [int(text["order_id"]) for text in texts] == [json.loads(line)["order_id"] for line in lines]
    assert [text["customer"] for text in texts] == [order["customer"] for order in orders.orders(300)]


def test_a_ratio_is_taken_within_rounds(module: Any) -> None:
    command = module("command")

    def runs(*seconds: float) -> list[Any]:
        return [command.Measured(one, one, 0, "", "") for one in seconds]

    # The second round was slow for both, the third for one of them.
    assert command.times_as_fast(runs(1, 10, 9), runs(2, 20, 3)) == 2


def test_a_command_that_fails_says_why(module: Any) -> None:
    command = module("command")
    with pytest.raises(command.CommandFailedError, match="no luck"):
        command.measure([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_output_of_another_length_or_other_bytes_is_refused(module: Any, tmp_path: Path) -> None:
    flows = module("flows")
    program = "import sys; [open(path, 'w').write(text) for path, text in zip(sys.argv[2:4], sys.argv[4:])]"
    arena = flows.Arena(tmp_path, 100)

    def run(good: str, bad: str) -> None:
        contender = flows.Contender("liar", lambda *paths: [sys.executable, "-c", program, *map(str, paths), good, bad])
        arena.run("csv", contender)

    with pytest.raises(flows.WrongOutputError, match="5 lines to good"):
        run("x\n" * 5, "y\n" * 2)
    with pytest.raises(flows.WrongOutputError, match="3 lines to bad"):
        run("x\n" * 98, "y\n" * 3)
    run("x\n" * 98, "y\n" * 2)
    with pytest.raises(flows.WrongOutputError, match="other bytes to good"):
        run("z\n" * 98, "y\n" * 2)


@pytest.mark.parametrize(
    ("value", "better", "reached"), [(2.0, "more", True), (1.9, "more", False), (2.1, "less", False)]
)
def test_a_figure_knows_whether_it_reached_its_target(module: Any, value: float, better: str, reached: bool) -> None:
    figures = module("figures")
    assert figures.Figure("speed", value, "x", 2.0, better).reached is reached
    assert figures.Figure("speed", value, "x").reached is None


def test_results_replace_those_between_the_markers_of_a_page(module: Any, tmp_path: Path) -> None:
    results, page = module("results"), tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nbehind\n")
    results.write_page(page, "new\n")
    assert page.read_text() == f"before\n{results.BEGIN}\n\nnew\n\n{results.END}\nbehind\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no markers"):
        results.write_page(page, "new\n")


def test_the_page_of_the_manual_has_the_markers(module: Any) -> None:
    results = module("results")
    text = (HERE.parents[1] / "docs" / "pages" / "benchmarks.md").read_text(encoding="utf-8")
    assert text.count(results.BEGIN) == text.count(results.END) == 1


def faked(module: Any, seconds: dict[Any, float], **told: Any) -> Any:
    """Stands for `interleaved`: two rounds, of which the second one is twice as slow for all."""
    measured = module("command").Measured

    def interleaved(runs: Any, rounds: int) -> dict[Any, list[Any]]:
        return {key: [measured(slow * seconds[key], 1, 1, told.get(key, ""), "") for slow in (1, 2)] for key in runs}

    return interleaved


def figures_of(section: Any) -> dict[str, float]:
    return {figure.name: figure.value for figure in section.figures}


def nothing(*_: object) -> None:
    """Stands for what takes long."""


def test_calls_are_compared_with_the_bare_system(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = module("tasks")
    monkeypatch.setattr(tasks, "present", lambda names, without: [name for name in names if name not in without])
    seconds = {(name, whose): 3.0 if whose == "ours" else 2.0 for name in tasks.TARGETS for whose in ("ours", "bare")}
    monkeypatch.setattr(tasks, "interleaved", faked(module, seconds))
    section = tasks.tasks(10_000, 2_000, 2, ["dask"])
    assert {name.split()[-1]: value for name, value in figures_of(section).items()} == {
        "threads": 1.5,
        "loky": 1.5,
        "ray": 1.5,
    }
    assert [figure.reached for figure in section.figures] == [False] * 3
    assert [row[2] for row in section.rows if row[0] != "dask"] == ["10,000", "10,000", "2,000"]


def test_calls_with_priorities_are_compared_with_bare_threads_and_pyferris(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = module("submit")
    monkeypatch.setattr(submit, "present", lambda names, without: names)
    monkeypatch.setattr(submit, "installed", lambda package: True)
    took = {"TaskExecutor": 3.0, "TaskExecutor, priority=": 6.0, "ThreadPoolExecutor": 2.0, "PyFerris": 9.0}
    seconds = {(name, way): one for name, one in took.items() for way in submit.WAYS}
    monkeypatch.setattr(submit, "interleaved", faked(module, seconds))
    section = submit.submit(10_000, 2)
    assert list(figures_of(section).values()) == [1.5, 3.0]
    assert [figure.reached for figure in section.figures] == [False, True]
    assert [row[3] for row in section.rows] == ["", "2.00", "0.67", "3.00"] * 2


def test_events_are_compared_with_lionpride_and_with_more_of_them(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    events, measured = module("events"), module("command").Measured
    parts = {
        ("pipe", 8_000): (0.08, 0.16),
        ("pipe", 1_000): (1.0, 2.0),
        ("pipe", 100_000): (1.5, 3.0),
        ("lionpride", 8_000): (0.8, 4.0),
    }

    def interleaved(runs: Any, rounds: int) -> dict[Any, list[Any]]:
        told = {key: json.dumps({"append": parts[key][0], "process": parts[key][1]}) for key in runs}
        return {key: [measured(sum(parts[key]), 1, 1, told[key], "")] * rounds for key in runs}

    monkeypatch.setattr(events, "interleaved", interleaved)
    monkeypatch.setattr(events, "installed", lambda package: True)
    section = events.events(8_000, (1_000, 100_000), 2)
    assert list(figures_of(section).values()) == pytest.approx([30.0, 1.5, 20.0])
    assert [figure.reached for figure in section.figures][1:] == [False, None]
    assert [row[1:] for row in section.rows] == [
        ("8,000", "10.0", "20.0", "30.0"),
        ("1,000", "10.0", "20.0", "30.0"),
        ("100,000", "15.0", "30.0", "45.0"),
        ("8,000", "100.0", "500.0", "600.0"),
    ]


def test_moves_are_compared_in_the_same_order(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = module("ledger")
    seconds = {(100, "submission"): 1.0, (100, "random"): 1.0, (10**6, "submission"): 1.4, (10**6, "random"): 6.0}
    monkeypatch.setattr(ledger, "interleaved", faked(module, seconds))
    section = ledger.ledger(10**6, 2)
    assert list(figures_of(section).values()) == pytest.approx([1.4, 6.0])
    assert [figure.reached for figure in section.figures] == [True, False]


def told(module: Any, found: Any) -> Any:
    """Stands for `measure`: the command writes *found*."""
    return lambda command: module("command").Measured(1.0, 1.0, 1, json.dumps(found), "")


def test_an_executor_of_events_is_weighed_against_its_events(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    footprint = module("footprint")
    found = {"made": 1000.0, "invoked": 1200.0, "waiting": 1500.0, "ended": 1320.0}
    monkeypatch.setattr(footprint, "measure", told(module, found))
    section = footprint.footprint(100_000)
    assert list(figures_of(section).values()) == pytest.approx([10.0, 50.0])
    assert [figure.target for figure in section.figures] == [11.0, None]


def test_a_start_at_another_time_than_by_arithmetic_is_counted(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rate, run = module("rate"), module("rate_run")
    assert run.most([0.0, 0.0, 0.5, 1.0, 1.2], 1.0) == 3
    assert run.starts(run.RateLimit(4, 1.0, burst=2), 4) == [0.0, 0.0, 0.25, 0.5]
    good = run.told(4, 1.0, 2, 100)
    assert (good["wrong"], good["most"], good["allowed"]) == (0, 5, 5)
    monkeypatch.setattr(rate, "measure", told(module, [good, {**good, "wrong": 50, "most": 6}]))
    section = rate.rate(100)
    assert list(figures_of(section).values()) == pytest.approx([75.0, 1.2])
    assert [figure.reached for figure in section.figures] == [False, False]


def test_calls_that_are_lost_end_the_benchmark_and_memory_is_counted_from_a_twentieth_on(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention = module("retention")
    monkeypatch.setattr(retention, "present", lambda names, without: names)
    samples = [10_000_000] * 4 + [20_000_000, 26_000_000] + [25_000_000] * 94
    found = {"completed": 5_000, "known": 1_000, "samples": samples}
    monkeypatch.setattr(retention, "measure", told(module, found))
    assert list(figures_of(retention.retention(5_000)).values()) == [6.0]
    for wrong in ({"completed": 4_999}, {"known": 1_001}):
        monkeypatch.setattr(retention, "measure", told(module, found | wrong))
        with pytest.raises(module("flows").WrongOutputError, match="5,000 calls"):
            retention.retention(5_000)


def test_schedulers_are_compared_on_the_same_work(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    schedulers, stealing, scheduling = module("schedulers"), module("stealing"), module("scheduling")
    found = schedulers.skewed(2)
    assert found["round_robin"].sooner == found["fifo"].later == 1
    assert found["work_stealing"].steals > 0
    assert found["fifo"].steals is None
    skewed = {name: {"sooner": 1.1, "later": 1.0, "steals": None} for name in found}
    monkeypatch.setattr(stealing, "measure", told(module, skewed))
    assert [figure.reached for figure in stealing.stealing(300).figures] == [False, True]
    costs = {kind: json.dumps([0.5, 1.5]) for kind in scheduling.KINDS}
    monkeypatch.setattr(scheduling, "interleaved", faked(module, dict.fromkeys(costs, 1.0), **costs))
    section = scheduling.scheduling(1_000, 2)
    assert set(figures_of(section).values()) == {1.5}
    assert {row[1:] for row in section.rows} == {("0.50", "1.50")}


def test_a_chain_is_compared_with_the_best_library_of_those_that_are_there(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = module("chain")
    took = {"pipe": 0.01, "plain calls": 0.002, "pipefunc": 0.2, "hypernodes": 0.09, "Hamilton": 0.3}
    seconds = {(name, way): one for name, one in took.items() for way in chain.WAYS}
    monkeypatch.setattr(chain, "interleaved", faked(module, seconds))
    monkeypatch.setattr(chain, "installed", lambda package: True)
    section = chain.chain(2_000, 2)
    assert list(figures_of(section).values()) == pytest.approx([0.75, 9.0, 0.75, 9.0])
    assert [figure.reached for figure in section.figures] == [False] * 4
    assert [row[3] for row in section.rows] == ["", "0.20", "20.00", "9.00", "30.00", "", "0.20", "20.00", "9.00"]
    monkeypatch.setattr(chain, "installed", lambda package: package == "hamilton")
    section = chain.chain(2_000, 2)
    assert list(figures_of(section).values()) == pytest.approx([0.75, 30.0, 0.75])
    assert [row[:2] for row in section.rows][-2:] == [("pipefunc", "not installed"), ("hypernodes", "not installed")]
    monkeypatch.setattr(chain, "installed", lambda package: False)
    assert [figure.unit for figure in chain.chain(2_000, 2).figures] == ["µs", "µs"]


def test_a_wrong_result_of_a_graph_ends_the_benchmark(module: Any) -> None:
    graphs = module("graphs")
    rows = [graphs.outputs_of("chain", x) for x in range(3)]
    graphs.check("chain", rows, range(3))
    graphs.check("chain", [10, 11, 12], range(3))
    graphs.check("chain", [{"ten": 10}], range(1))
    wrong: list[list[Any]] = [
        rows[:2],
        [*rows, rows[0]],
        [rows[0], rows[2], rows[1]],
        [10, 11, 13],
        [{"nine": 9}, *rows[1:]],
        [{}, *rows[1:]],
    ]
    for found in wrong:
        with pytest.raises(SystemExit, match="came of"):
            graphs.check("chain", found, range(3))
    with pytest.raises(SystemExit, match="through the fan-out"):
        graphs.check("fan-out", rows, range(3))


def test_nodes_are_timed_by_executor_and_shape(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = module("nodes")
    monkeypatch.setattr(nodes, "present", lambda names, without: [name for name in names if name not in without])
    monkeypatch.setattr(nodes, "interleaved", faked(module, dict.fromkeys(nodes.TARGETS, 0.44)))
    section = nodes.nodes(2_000, 2)
    assert list(figures_of(section).values()) == pytest.approx([33.0, 30.0, 33.0, 33.0])
    assert [figure.reached for figure in section.figures] == [False, True, False, True]
    section = nodes.nodes(2_000, 2, ["threads"])
    assert [row[0] for row in section.rows] == ["asyncio", "asyncio", "threads"]


def test_nodes_that_wait_are_compared_with_the_seconds_that_are_allowed(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlap = module("overlap")
    monkeypatch.setattr(overlap, "present", lambda names, without: list(names))
    monkeypatch.setattr(overlap, "installed", lambda package: True)
    seconds = {(who, graph): 0.24 for who in ("threads", "asyncio", "pipefunc") for graph in overlap.GRAPHS}
    monkeypatch.setattr(overlap, "interleaved", faked(module, seconds))
    section = overlap.overlap(2)
    assert [figure.reached for figure in section.figures] == [True, True, False, False]
    assert [row[0] for row in section.rows] == ["threads", "asyncio", "pipefunc"] * 2


def test_a_map_on_two_cores_is_compared_with_one_and_with_pipefunc(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = module("cores")
    monkeypatch.setattr(cores, "present", lambda names, without: list(names))
    monkeypatch.setattr(cores, "installed", lambda package: True)
    seconds = {"pipe on loky": 1.0, "pipe on sync": 1.9, "pipefunc on loky": 0.9}
    monkeypatch.setattr(cores, "interleaved", faked(module, seconds))
    assert [(figure.value, figure.reached) for figure in cores.cores(2_000, 2).figures] == [(1.9, True), (0.9, False)]
    monkeypatch.setattr(cores, "installed", lambda package: False)
    section = cores.cores(2_000, 2)
    assert list(figures_of(section).values()) == [1.9]
    assert section.rows[-1] == ("pipefunc on loky", "not installed", "", "")


def test_what_a_map_holds_is_counted_beside_its_results(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    holding = module("holding")
    monkeypatch.setattr(holding, "measure", told(module, {"results": 60e6, "most": 93e6, "kept": 61e6}))
    (figure,) = holding.holding(100_000).figures
    assert (figure.value, figure.reached) == (33.0, False)


def test_few_records_and_protection_are_compared_with_less_of_it(
    module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few, protection, flows = module("few"), module("protection"), module("flows")
    monkeypatch.setattr(flows.Arena, "warm_up", nothing)
    monkeypatch.setattr(module("contenders"), "installed", lambda package: True)
    names = {"pipe on sync": 1.0, "pipe on auto": 1.0, "pipe on loky": 3.0}
    monkeypatch.setattr(few, "interleaved", faked(module, names, **{"pipe on auto": "loky"}))
    assert figures_of(few.few(tmp_path, 2)) == {
        "runs of 100 orders that auto leaves on sync": 0.0,
        "time of 100 orders on loky against sync": 3.0,
    }
    found = {"with": 1.1, "without": 1.0, "with, and a checkpoint every second": 1.2}
    monkeypatch.setattr(protection, "interleaved", faked(module, found))
    cost = figures_of(protection.protection(tmp_path, 1000, 2))
    assert cost["time that protection costs"] == pytest.approx(10)
    assert cost["time that protection and checkpoints cost"] == pytest.approx(20)


def test_clusters_are_compared_with_loky_and_drivers_with_their_workers(
    module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = module("given")
    seconds = {"loky": 2.0, "dask": 4.0, "ray": 1.0}

    def measured(folder: Path, count: int, way: Any, rounds: int, names: list[str]) -> dict[str, Any]:
        cost = {"driver": 1.0, "workers": None if names == ["ray"] else 8.0}
        return {name: {"start": 1.0, "runs": [{"seconds": seconds[name], **cost}] * rounds} for name in names}

    monkeypatch.setattr(given, "_measured", measured)
    monkeypatch.setattr(given, "present", lambda names, without: list(names))
    assert sorted(figures_of(given.clusters(tmp_path, 10, 2)).values()) == [0.5, 2.0]
    found = figures_of(given.driver(tmp_path, 2_000_000, 2))
    assert found["driver's processor time a million records, dask, bytes through the system"] == 0.5
    assert found["one driver feeds, dask, bytes through the system"] == 8
    assert not [name for name in found if name.startswith("one driver feeds, ray")]


def test_what_is_not_installed_is_said(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    systems = module("systems")
    for name in systems.PACKAGES:
        monkeypatch.setitem(systems.PACKAGES, name, "no_such_package")
    monkeypatch.setattr(module("overlap"), "installed", lambda package: False)
    sections = [
        module("tasks").tasks(1, 1, 1),
        module("starts").starts(1),
        module("waiting").waiting(1, 1),
        module("given").clusters(tmp_path, 1, 1),
        module("given").driver(tmp_path, 1, 1),
        module("submit").submit(1, 1),
        module("retention").retention(1),
        module("nodes").nodes(1, 1),
        module("overlap").overlap(1),
        module("cores").cores(1, 1),
    ]
    for section in sections:
        assert section.rows
        assert all(len(row) == len(section.columns) and row[1] == "not installed" for row in section.rows)
        assert not section.figures


def test_two_halves_of_a_file_are_the_whole(module: Any, tmp_path: Path) -> None:
    import csv

    halves, orders = module("peer_halves"), module("orders")
    path = orders.prepared(tmp_path, "csv", 101)
    begin, middle, end = halves.borders(str(path))
    texts = [halves.Half(str(path), *borders).read().decode() for borders in ((begin, middle), (middle, end))]
    records = [list(csv.DictReader(text.splitlines())) for text in texts]
    assert abs(len(records[0]) - len(records[1])) < 5
    assert [int(record["order_id"]) for half in records for record in half] == list(range(101))


def test_the_bare_run_really_checks_nothing(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    from pipe_core import CodecError
    from pipe_core.records.commit import Commit
    from pipe_core.records.transport import border
    from pipe_core.runtime import beat

    run = module("protection_run")
    whole = border.raw(b"rows of a result")
    damaged = whole[:-1] + b"T"
    with pytest.raises(CodecError):
        border.opened(memoryview(damaged))
    for place, name in ((zlib, "crc32"), (Commit, "_check_border"), (beat, "begin"), (beat, "row")):
        monkeypatch.setattr(place, name, getattr(place, name))  # put back at the end
    run.strip_driver()
    assert run.strip_worker()
    bare = border.raw(b"rows of a result")
    assert border.opened(memoryview(bare[:-1] + b"T")) == b"rows of a resulT"
    beat.begin()
    assert beat.row[beat.STARTED] == 0


def test_the_table_of_executors_says_what_their_plugins_say(module: Any, tmp_path: Path) -> None:
    from pipe_core.kernel.kernel import current_kernel

    table = module("executors_table")
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"sections": [{"title": module("starts").TITLE, "raw": {"sync": [0.002, 0.004]}}]}))
    lines = table.table(table._read(results)).splitlines()
    rows = {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in lines[2:])}
    assert rows["`sync`"] == ["in the thread that calls", *table.USES["sync"], "there are none", "no", "3 ms"]
    names = [entry.name for entry, _ in current_kernel().usable("executors")]
    assert set(rows) == {f"`{name}`" for name in names}
    if "loky" in names:
        assert rows["`loky`"][3:] == ["yes", "yes", "not measured"]
    results.write_text(json.dumps({"sections": []}))
    with pytest.raises(SystemExit, match="no results of the benchmark"):
        table._read(results)


def test_benchmarks_are_chosen_by_name_or_group(module: Any) -> None:
    run = module("run")

    def chosen(*arguments: str) -> list[str]:
        return [name for name, _ in run._chosen(run._parser().parse_args(arguments))]

    assert chosen("executors") == list(run.GROUPS["executors"])
    assert chosen("calls") == list(run.GROUPS["calls"])
    assert chosen("graphs") == list(run.GROUPS["graphs"])
    assert chosen() == [name for group in run.GROUPS.values() for name in group if name != "large"]
    assert chosen("tasks", "csv") == ["csv", "tasks"]
    assert "large" not in chosen()
    assert chosen("large") == ["large"]
    assert chosen("records", "--large") == list(run.GROUPS["records"])
    with pytest.raises(SystemExit, match="no benchmark nonsense"):
        chosen("nonsense")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where quick runs write: the data and the compiled modules of one are there for the next one."""
    return tmp_path_factory.mktemp("results")


def measured_quickly(folder: Path, *arguments: str, seconds: float) -> dict[str, Any]:
    """The results of a quick run."""
    (folder / "results.json").unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "run.py"), *arguments, "--quick", "--results", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


FIGURES = {
    "processes": "speed against pipe on sync",
    "unsplit": "speed of loky against sync",
    "driver": "driver's processor time a million records, loky, files of the workers, left in parts",
    "waiting": "waiting against ideal, threads",
    "few": "time of 100 orders on loky",
    "protection": "processor time that protection costs",
    "tasks": "time of a call that does nothing, loky",
    "starts": "start-up of loky",
}


@pytest.mark.timeout(150)
@pytest.mark.skipif(find_spec("pipe_loky") is None, reason="pipe-loky, on which they run, is not installed")
@pytest.mark.parametrize(
    "name",
    [name if name in ("unsplit", "tasks") else pytest.param(name, marks=pytest.mark.thorough) for name in FIGURES],
)
def test_a_quick_run_measures_executors(results: Path, name: str) -> None:
    """Without clusters, which take long to come up."""
    found = measured_quickly(results, name, "--without", "dask", "ray", seconds=140)
    (section,) = found["sections"]
    assert any(figure["name"].startswith(FIGURES[name]) for figure in section["figures"])
    assert section["raw"]
    assert all(len(row) == len(section["columns"]) for row in section["rows"])


CALLS = {
    "submit": "time of a call, TaskExecutor against ThreadPoolExecutor",
    "events": "an event that does nothing",
    "ledger": "time of a move",
    "footprint": "memory of an executor",
    "stealing": "skewed work ends",
    "scheduling": "push and pop, fifo",
    "rate": "calls that a rate limit starts at the exact time",
    "retention": "growth over 5,000 calls",
}


@pytest.mark.thorough
@pytest.mark.timeout(150)
@pytest.mark.skipif(find_spec("pipe_threads") is None, reason="pipe-threads, on which calls run, is not installed")
def test_a_quick_run_measures_calls(results: Path) -> None:
    found = measured_quickly(results, "calls", seconds=140)
    names = [figure["name"] for section in found["sections"] for figure in section["figures"]]
    for package, name in (("pyferris", "TaskExecutor against PyFerris"), ("lionpride", "events against lionpride")):
        assert any(name in one for one in names) == (find_spec(package) is not None)
    assert len(found["sections"]) == len(CALLS)
    for section, name in zip(found["sections"], CALLS.values(), strict=True):
        assert any(figure["name"].startswith(name) for figure in section["figures"])
        assert section["raw"]
        assert all(len(row) == len(section["columns"]) for row in section["rows"])


GRAPHS = {
    "chain": "a node of a chain, run",
    "nodes": "a node on asyncio, async chain",
    "overlap": "two items through two nodes",
    "cores": "speed of a map that computes, pipe on loky against pipe on sync",
    "holding": "memory of a map of 1,000 items",
    "caching": "second run with a disk cache against computing",
}


@pytest.mark.thorough
@pytest.mark.timeout(150)
@pytest.mark.skipif(
    any(find_spec(f"pipe_{name}") is None for name in ("threads", "asyncio", "loky")),
    reason="pipe-threads, pipe-asyncio or pipe-loky, on which graphs run, is not installed",
)
def test_a_quick_run_measures_graphs(results: Path) -> None:
    found = measured_quickly(results, "graphs", seconds=140)
    names = [figure["name"] for section in found["sections"] for figure in section["figures"]]
    peers = {"pipefunc": "pipefunc", "hypernodes": "hypernodes", "hamilton": "Hamilton"}
    for package, name in peers.items():
        best = any(one.startswith("speed of a chain against the best of") and name in one for one in names)
        assert best == (find_spec(package) is not None)
    assert len(found["sections"]) == len(GRAPHS)
    for section, name in zip(found["sections"], GRAPHS.values(), strict=True):
        assert any(figure["name"].startswith(name) for figure in section["figures"])
        assert section["raw"]
        assert all(len(row) == len(section["columns"]) for row in section["rows"])


WITH_OTHERS = pytest.mark.skipif(
    find_spec("zoopipe") is None, reason="zoopipe, which is compared with, is installed by tox -e bench"
)


@WITH_OTHERS
@pytest.mark.timeout(280)
@pytest.mark.parametrize("name", ["clusters", "driver", "tasks", "starts"])
@pytest.mark.parametrize(("cluster", "other"), [("dask", "ray"), ("ray", "dask")])
def test_a_quick_run_measures_clusters(results: Path, name: str, cluster: str, other: str) -> None:
    """Only where the libraries to compare with are installed: it takes long."""
    if find_spec(f"pipe_{cluster}") is None:
        pytest.skip(f"pipe-{cluster} is not installed")
    found = measured_quickly(results, name, "--without", other, seconds=270)
    names = " ".join(figure["name"] for section in found["sections"] for figure in section["figures"])
    assert cluster in names
    assert other not in names


@WITH_OTHERS
@pytest.mark.timeout(150)
def test_a_quick_run_measures_records_and_writes_it_down(results: Path) -> None:
    found = measured_quickly(results, "records", seconds=140)
    figures = [figure for section in found["sections"] for figure in section["figures"]]
    assert {"import pipe_core", "speed with two hooks against without"} <= {figure["name"] for figure in figures}
    assert all(figure["value"] > 0 for figure in figures)
    text = (results / "results.md").read_text(encoding="utf-8")
    assert all(name in text for name in ("plain loop", "ZooPipe", "floor", "these figures say nothing"))
    assert "pipe_core" in (results / "evidence.txt").read_text(encoding="utf-8")
