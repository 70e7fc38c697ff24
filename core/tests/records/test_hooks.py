"""Hooks: what they may do to entries, and what becomes of entries whose hook fails."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbered import Number, numbers
from pydantic import BaseModel, RootModel, model_validator
from typing_extensions import TypedDict

from pipe_core import BaseHook, EntryStatus, HookPriority, HookStore, Pipe
from pipe_core.kernel.errors import HookContractError, OptionsError, RunError
from pipe_core.records.entry import Entry


class Custom(BaseException):
    pass


def failing(kind: str, error: Callable[[], BaseException], seen: list[Any]) -> Any:
    """A hook called ``Failing`` that raises for the number two, written in each of the four ways."""

    def look(entry: Entry) -> None:
        seen.append(entry.raw_data["n"])
        if entry.raw_data["n"] == 2:
            raise error()

    def sync_entry(entry: Entry, store: HookStore) -> None:
        look(entry)

    async def async_entry(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(0)
        look(entry)

    class SyncChunk(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            for entry in entries:
                look(entry)

    class AsyncChunk(BaseHook):
        async def execute(self, entries: list[Entry], store: HookStore) -> None:
            await asyncio.sleep(0)
            for entry in entries:
                look(entry)

    hook: Any = {"sync": sync_entry, "async": async_entry, "sync chunk": SyncChunk, "async chunk": AsyncChunk}[kind]
    hook.__name__ = "Failing"
    return hook


KINDS = pytest.mark.parametrize("kind", ["sync", "async", "sync chunk", "async chunk"])
ERRORS: Any = [
    (lambda: ValueError("no good"), "no good"),
    (lambda: SystemExit(3), "3"),
    (KeyboardInterrupt, "KeyboardInterrupt"),
    (lambda: Custom("mine"), "mine"),
    (lambda: KeyError("key"), "'key'"),
    (lambda: TimeoutError("its own"), "its own"),
]


@KINDS
@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize(("error", "details"), ERRORS, ids=[text for _, text in ERRORS])
def test_one_bad_row_of_four_leaves_three_good(
    kind: str, side: str, error: Callable[[], BaseException], details: str, executor: Any
) -> None:
    later: list[int] = []
    failed: list[Entry] = []

    def keep(entry: Entry, store: HookStore) -> None:
        failed.append(entry)

    def after(entry: Entry, store: HookStore) -> None:
        later.append(entry.raw_data["n"])

    hooks = [keep, failing(kind, error, []), after]
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(
        numbers(4),
        good,
        errors=bad,
        schema=Number,
        executor=executor,
        pre_validation_hooks=hooks if side == "pre" else (),
        post_validation_hooks=hooks if side == "post" else (),
    ).run()
    reason = {"type": "HookError", "message": f"Failing: {details}"}
    assert [row["n"] for row in good] == later == [0, 1, 3]
    assert [(row["position"], row["phase"], row["hook"], row["errors"]) for row in bad] == [
        (2, side, "Failing", [reason])
    ]
    assert bad[0]["raw"] == bad[0]["data"] == {"n": 2}
    assert (report.error_count, report.success_count) == (1, 3)
    if "chunk" not in kind:  # a chunk hook is run again on copies
        assert failed[2].status is EntryStatus.FAILED
        assert failed[2].metadata == {"hook_error_Failing": details}
        assert failed[2].errors == [reason]


@pytest.mark.parametrize(
    "kind",
    [
        "sync",
        "sync chunk",
        "async",
        "async chunk",
    ],
)
def test_a_hook_that_raises_cancelled_error_by_itself_fails_its_entry(kind: str) -> None:
    good: list[Any] = []
    report = Pipe(numbers(4), good, pre_validation_hooks=[failing(kind, asyncio.CancelledError, [])]).run()
    assert (report.valid, report.failed) == (3, 1)


def test_a_chunk_hook_runs_again_one_by_one_on_fresh_copies() -> None:
    chunks: list[list[int]] = []

    class Add(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            chunks.append([entry.raw_data["in"]["n"] for entry in entries])
            for entry in entries:
                entry.raw_data["in"]["n"] += 10
                if entry.raw_data["in"]["n"] == 12:
                    raise ValueError("two")

    out: list[Any] = []
    Pipe([{"in": {"n": i}} for i in range(4)], out, pre_validation_hooks=[Add()]).run()
    assert chunks == [[0, 1, 2, 3], [0], [1], [2], [3]]
    assert [row["in"]["n"] for row in out] == [10, 11, 13]


def test_a_chunk_hook_that_does_not_fail_takes_records_that_cannot_be_copied() -> None:
    class Look(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            pass

    out: list[Any] = []
    Pipe([{"n": 1, "lock": threading.Lock()}, {"n": 2}], out, pre_validation_hooks=[Look()]).run()
    assert [row["n"] for row in out] == [1, 2]


def test_a_hook_that_must_not_be_repeated_fails_its_whole_chunk() -> None:
    calls: list[int] = []

    class Send(BaseHook):
        repeatable = False
        chunk_size = 2

        def execute(self, entries: list[Entry], store: HookStore) -> None:
            calls.append(len(entries))
            if entries[0].raw_data["n"] == 2:
                raise ValueError("refused")

    good: list[Any] = []
    bad: list[Any] = []
    Pipe(numbers(5), good, errors=bad, pre_validation_hooks=[Send()]).run()
    assert calls == [2, 2, 1]
    assert [row["n"] for row in good] == [0, 1, 4]
    assert [(row["position"], row["errors"][0]["message"]) for row in bad] == [
        (2, "Send: refused"),
        (3, "Send: refused"),
    ]


def test_a_hook_that_must_not_be_repeated_says_how_many_entries_it_wants() -> None:
    class Send(BaseHook):
        repeatable = False

    with pytest.raises(HookContractError, match="chunk_size") as raised:
        Pipe(numbers(1), pre_validation_hooks=[Send()]).run()
    assert raised.value.hook == "Send"


# --- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [5, True, "text", {"n": 1}, [1], [None], iter([])])
def test_a_hook_that_returns_another_type_ends_the_run(answer: Any, executor: Any) -> None:
    def odd(entry: Entry, store: HookStore) -> Any:
        return answer

    with pytest.raises(HookContractError, match="odd returned a") as raised:
        Pipe(numbers(3), pre_validation_hooks=[odd], executor=executor).run()
    assert raised.value.hook == "odd"


def test_a_hook_that_returns_an_entry_twice_ends_the_run() -> None:
    def twice(entry: Entry, store: HookStore) -> Any:
        return [entry, entry]

    with pytest.raises(HookContractError, match=r"twice.*same entry|same entry twice"):
        Pipe(numbers(3), pre_validation_hooks=[twice]).run()


@pytest.mark.parametrize("what", ["position", "id"])
def test_position_and_id_are_for_hooks_that_say_so(what: str, executor: Any) -> None:
    def curious(entry: Entry, store: HookStore) -> None:
        entry[what]

    with pytest.raises(HookContractError, match="curious") as raised:
        Pipe(numbers(3), pre_validation_hooks=[curious], executor=executor).run()
    assert raised.value.hook == "curious"


def test_the_report_of_a_run_that_a_contract_ended_is_conserved() -> None:
    def odd(entry: Entry, store: HookStore) -> Any:
        if entry.raw_data["n"] == 1:
            raise ValueError("one")
        return 5 if entry.raw_data["n"] == 2 else None

    pipe = Pipe(numbers(4), errors=[], pre_validation_hooks=[odd])
    with pytest.raises(HookContractError):
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.conserved


# --- drop, fan-out, parts ---------------------------------------------------------------------------------------------


def test_every_part_of_a_record_has_its_own_id() -> None:
    def twice(entry: Entry, store: HookStore) -> list[Entry]:
        return [entry, entry.copy()]

    def again(entry: Entry, store: HookStore) -> list[Entry]:
        return [entry, entry.copy()]

    entries = list(Pipe(numbers(2), pre_validation_hooks=[twice, again]))
    assert len(entries) == 8
    assert len({entry.id for entry in entries}) == 8


def test_parts_keep_their_number_when_a_later_chunk_hook_is_run_again() -> None:
    def twice(entry: Entry, store: HookStore) -> list[Entry]:
        return [entry, entry.copy()]

    class OnlyAlone(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            if len(entries) > 1:
                raise ValueError("one at a time")

    entries = list(Pipe(numbers(2), pre_validation_hooks=[twice, OnlyAlone()]))
    assert [(entry.position, entry.part) for entry in entries] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_run_scoped_hook_that_keeps_everything_changes_no_order() -> None:
    def before(entry: Entry, store: HookStore) -> list[Entry]:
        return [entry.copy(raw_data={"n": -entry.raw_data["n"]}), entry]

    class Keep(BaseHook):
        scope = "run"

        def value(self, entry: Entry, store: HookStore) -> Any:
            return 0

    outs: list[list[Any]] = [[], []]
    Pipe(numbers(3), outs[0], pre_validation_hooks=[before]).run()
    Pipe(numbers(3), outs[1], pre_validation_hooks=[before, Keep()]).run()
    assert outs[0] == outs[1]


def test_run_scoped_hooks_are_refused_without_order() -> None:
    class Keep(BaseHook):
        scope = "run"

    with pytest.raises(OptionsError, match="ordered"):
        Pipe(numbers(3), pre_validation_hooks=[Keep()], ordered=False).run()


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_value_of_a_run_scoped_hook_may_be_async() -> None:
    given: list[Any] = []

    class Ask(BaseHook):
        scope = "run"

        async def value(self, entry: Entry, store: HookStore) -> Any:
            return entry.raw_data["n"]

        def decide(self, value: Any, position: int) -> Any:
            given.append(value)
            return "keep"

    Pipe(numbers(3), pre_validation_hooks=[Ask()]).run()
    assert given == [0, 1, 2]


# --- validated data ---------------------------------------------------------------------------------------------------


class Row(TypedDict):
    n: int


@dataclasses.dataclass
class Data:
    n: int


@dataclasses.dataclass(slots=True)
class Slotted:
    n: int


@pytest.mark.parametrize(
    "schema",
    [
        Number,
        Data,
        dict[str, int],
        None,
        Row,
        Slotted,
    ],
)
def test_keys_that_a_hook_adds_are_written_behind_the_fields(schema: Any) -> None:
    def add(entry: Entry, store: HookStore) -> None:
        entry["validated_data"]["z"] = entry["validated_data"]["n"] + 1

    out: list[Any] = []
    report = Pipe(numbers(2), out, schema=schema, post_validation_hooks=[add]).run()
    assert report.first_failures == []
    assert [list(row.items()) for row in out] == [[("n", 0), ("z", 1)], [("n", 1), ("z", 2)]]


@pytest.mark.parametrize("key", ["schema", "json", "copy"])
def test_keys_that_a_hook_adds_may_be_named_like_methods_of_the_model(key: str) -> None:
    def add(entry: Entry, store: HookStore) -> None:
        entry.validated_data[key] = "v"

    out: list[Any] = []
    Pipe(numbers(1), out, schema=Number, post_validation_hooks=[add]).run()
    assert out == [{"n": 0, key: "v"}]


class Nothing(BaseModel):
    n: int

    @model_validator(mode="wrap")
    @classmethod
    def _none_for_one(cls, value: Any, handler: Any) -> Any:
        return None if value["n"] == 1 else handler(value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "hooks",
    [
        (),
        pytest.param(
            (lambda entry, store: None,),
        ),
    ],
    ids=["without hooks", "with a hook"],
)
def test_a_model_validator_may_give_something_else_than_the_model(hooks: Any) -> None:
    report = Pipe(numbers(3), schema=Nothing, post_validation_hooks=hooks).run()
    assert (report.valid, report.failed) == (3, 0)


def test_an_entry_made_from_scratch_behind_validation_is_refused_or_written() -> None:
    def more(entry: Entry, store: HookStore) -> list[Entry]:
        return [entry, Entry({"n": 7})]

    out: list[Any] = []
    pipe = Pipe(numbers(1), out, schema=Number, post_validation_hooks=[more])
    with contextlib.suppress(HookContractError):
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.exception is None or "more" in str(pipe.report.exception)
    assert out in ([], [{"n": 0}], [{"n": 0}, {"n": 7}])


# --- life -------------------------------------------------------------------------------------------------------------


class Life(BaseHook):
    """Tells when it is set up and torn down."""

    def __init__(self, name: str, told: list[str], fails: str = "") -> None:
        self.name, self.told, self.fails = name, told, fails

    def setup(self, store: HookStore) -> None:
        self.told.append(f"+{self.name}")
        store[self.name] = "kept"
        if self.fails == "setup":
            raise ValueError("no")

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        assert getattr(store, self.name) == store[self.name] == store.get(self.name) == "kept"
        assert self.name in store
        if self.fails == "execute":
            raise ValueError("no")

    def teardown(self, store: HookStore) -> None:
        self.told.append(f"-{self.name}")
        if self.fails == "teardown":
            raise ValueError("no")


def test_setup_and_teardown_run_once_in_order_and_in_reverse() -> None:
    told: list[str] = []
    hooks = [Life("a", told), Life("b", told)]
    report = Pipe(
        numbers(1000), schema=Number, chunk_size=10, pre_validation_hooks=hooks, post_validation_hooks=[Life("c", told)]
    ).run()
    assert report.failed == 0
    assert told == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_a_hook_on_both_sides_is_set_up_once() -> None:
    told: list[str] = []
    life = Life("a", told)
    Pipe(numbers(3), schema=Number, pre_validation_hooks=[life], post_validation_hooks=[life]).run()
    assert told == ["+a", "-a"]


def test_a_setup_that_fails_ends_the_run_and_tears_down_those_before_it() -> None:
    told: list[str] = []
    with pytest.raises(RunError, match="Life failed in setup: ValueError: no"):
        Pipe(numbers(3), pre_validation_hooks=[Life("a", told), Life("b", told, "setup"), Life("c", told)]).run()
    assert told == ["+a", "+b", "-a"]


@pytest.mark.parametrize("fails", ["execute", "teardown"])
def test_teardown_runs_after_failures_and_its_own_are_noted(fails: str) -> None:
    told: list[str] = []
    report = Pipe(numbers(3), errors=[], pre_validation_hooks=[Life("a", told, fails), Life("b", told)]).run()
    assert told == ["+a", "+b", "-b", "-a"]
    assert any("teardown" in note and "no" in note for note in report.notes) is (fails == "teardown")


def test_hooks_run_by_priority_and_then_as_given() -> None:
    ran: list[str] = []

    def named(name: str, priority: int | None = None) -> Any:
        def hook(entry: Entry, store: HookStore) -> None:
            ran.append(name)

        if priority is not None:
            hook.priority = priority  # type: ignore[attr-defined]  # as people set it on functions
        return hook

    hooks = [named("last", HookPriority.VERY_LOW), named("b"), named("c", HookPriority.NORMAL), named("d")]
    Pipe(numbers(1), pre_validation_hooks=[*hooks, named("first", HookPriority.VERY_HIGH)]).run()
    assert ran == ["first", "b", "c", "d", "last"]


# --- async ------------------------------------------------------------------------------------------------------------


class Flight:
    """An async hook that counts its calls in flight, and waits until as many are there as may be."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.peak = most, 0, 0
        self.lock = threading.Lock()

    async def __call__(self, entry: Entry, store: HookStore) -> None:
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        for _ in range(20):
            await asyncio.sleep(0.0005)  # workload
        with self.lock:
            self.now -= 1


def test_concurrency_is_reached_and_not_passed_and_keeps_the_order() -> None:
    flight = Flight(3)
    out: list[Any] = []
    Pipe(numbers(60), out, pre_validation_hooks=[flight], concurrency=3).run()
    assert flight.peak == 3
    assert out == numbers(60)


def test_concurrency_is_a_maximum_for_all_threads_together(two_threads: ThreadPoolExecutor) -> None:
    flight = Flight(3)
    Pipe(numbers(60), pre_validation_hooks=[flight], concurrency=3, chunk_size=20, executor=two_threads).run()
    assert flight.peak <= 3


class Roots(RootModel[list[int]]):
    pass


def test_root_models_go_through_hooks() -> None:
    out: list[Any] = []
    Pipe([[1, 2], ["x"]], out, schema=Roots, post_validation_hooks=[lambda entry, store: None]).run()
    assert out == [[1, 2]]


class Inner(BaseModel):
    a: int


class Wrapped(RootModel[Inner]):
    pass


def test_a_root_model_over_a_model_writes_each_field_once_whatever_hooks_there_are() -> None:
    out: list[Any] = []
    Pipe([{"a": 1}], out, schema=Wrapped, post_validation_hooks=[lambda entry, store: None]).run()

    assert out == [{"a": 1}]


def test_a_key_that_a_hook_adds_to_a_root_model_is_written_behind_its_fields(tmp_path: Path) -> None:
    def add(entry: Entry, store: HookStore) -> None:
        entry["validated_data"]["b"] = 2

    Pipe([{"a": 1}], tmp_path / "out.jsonl", schema=Wrapped, post_validation_hooks=[add]).run()

    assert (tmp_path / "out.jsonl").read_bytes() == b'{"a":1,"b":2}\n'


def test_validated_data_that_a_hook_replaces_is_written_in_the_same_columns(tmp_path: Path) -> None:
    class Two(BaseModel):
        a: int
        b: int

    def replace_some(entry: Entry, store: HookStore) -> None:
        if entry["validated_data"]["a"] % 2:
            entry["validated_data"] = {"b": 7, "a": entry["validated_data"]["a"]}

    records = [{"a": i, "b": i} for i in range(4)]
    Pipe(records, tmp_path / "out.csv", schema=Two, post_validation_hooks=[replace_some]).run()

    assert (tmp_path / "out.csv").read_text().splitlines() == ["a,b", "0,0", "1,7", "2,2", "3,7"]
