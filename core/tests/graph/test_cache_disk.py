"""The cache on disk: what it keeps, for how long, and what happens to what is damaged or not its own."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import gc
import os
import pathlib
import pickle
import sqlite3
import sys
import threading
import typing
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import OptionsError
from pipe_core.graph.caching import claims as cache_claims
from pipe_core.graph.caching import disk as disk_cache
from pipe_core.graph.caching import memory as cache_module
from pipe_core.graph.caching.claims import Claimed
from pipe_core.graph.caching.disk import DiskCache
from pipe_core.graph.caching.errors import CacheAccessError, NotKeptError
from pipe_core.graph.caching.memory import MISSING
from pipe_core.graph.caching.parts import Parts, why
from pipe_core.graph.caching.signatures import sign

KEY = b"sixteen bytes or more"
LARGE = "x" * 50_000


class Color(enum.Enum):
    RED = 1


class Customer(BaseModel):
    name: str
    color: Color = Color.RED


@dataclasses.dataclass
class Point:
    x: int


class Pair(typing.NamedTuple):
    x: int
    y: Any


class Foreign:
    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]  # it can be changed


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(path: pathlib.Path) -> Iterator[DiskCache]:
    with DiskCache(path) as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is for caches."""
    now = [1_000_000.0]
    for module in (cache_module, disk_cache, cache_claims):
        monkeypatch.setattr(module, "time", lambda: now[0])
    return now


def files(path: pathlib.Path) -> list[pathlib.Path]:
    return [one for one in (path / "entries").rglob("*") if one.is_file()]


@pytest.mark.parametrize(
    "value",
    [
        None,
        False,
        0,
        10**100,
        1.5,
        "",
        "\ud800",
        LARGE,
        b"\0" * 50_000,
        [1, (2, {"a": {3}}), None],
        {1: "a", "1": "b", None: [True]},
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        decimal.Decimal("1.50"),
        uuid.UUID(int=7),
        pathlib.Path("a/b"),
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:9]!a}",
)
def test_whatever_is_kept_is_found_by_everybody(cache: DiskCache, value: object) -> None:
    assert cache.get("s", MISSING) is MISSING
    assert not cache.has("s")
    assert cache.put("s", value) is None
    with DiskCache(cache.path) as other:
        for one in (cache, other):
            assert one.has("s")
            found = one.get("s", MISSING)
            assert found == value
            assert type(found) is type(value)


def test_nobody_changes_what_is_kept(cache: DiskCache) -> None:
    value = [Foreign([1])]
    for signature, one in (("plain", [[1]]), ("foreign", value)):
        cache.put(signature, one)
        cache.get(signature).append(2)
        assert len(cache.get(signature)) == 1


def test_a_new_result_takes_the_place_of_the_old_one(cache: DiskCache, path: pathlib.Path) -> None:
    for value in (LARGE, "small", LARGE + "x", LARGE):
        cache.put("s", value)
        assert cache.get("s") == value
    assert len(files(path)) == 1
    assert cache.size().entries == 1
    assert 50_000 < cache.size().bytes < 50_200


def test_other_objects_stay_in_the_process(cache: DiskCache) -> None:
    why_not = cache.put("s", Foreign(1))
    assert why_not is not None
    assert "Foreign cannot travel" in why_not
    assert cache.has("s")
    assert cache.get("s") == Foreign(1)
    with DiskCache(cache.path) as other:
        assert not other.has("s")
        assert other.get("s", MISSING) is MISSING
    with pytest.raises(NotKeptError, match="cannot be copied"):
        cache.put("s", threading.Lock())
    assert cache.put("s", 1) is None
    assert cache.get("s") == 1


def test_a_list_that_contains_itself_stays_in_the_process(cache: DiskCache) -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert cache.put("s", ring)
    assert cache.get("s")[1][0] == 1


def test_arrays_and_tables_are_written(cache: DiskCache) -> None:
    np = pytest.importorskip("numpy")
    pa = pytest.importorskip("pyarrow")
    grid = np.arange(6).reshape(2, 3)
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    value = {"a": [grid, grid.T, (np.float64(0.5), np.array(1))], "b": table, 3: [1], "c": table.to_batches()[0]}
    for one in (grid, table, value, np.array(["2020"], dtype="M8[D]"), np.zeros(50_000), np.int32(5)):
        assert cache.put("s", one) is None
        with DiskCache(cache.path) as other:
            found = other.get("s")
        assert type(found) is type(one)
        assert sign(found) == sign(one)
    found = cache.get("s")
    cache.put("grid", grid)
    cache.get("grid")[0, 0] = 5
    assert cache.get("grid")[0, 0] == 0
    for one in (np.array([None]), np.ma.masked_array([1], [1]), [grid, Foreign(1)]):
        assert cache.put("s", one) is not None
        assert cache.has("s")


def test_an_array_is_not_found_where_its_library_is_missing(cache: DiskCache) -> None:
    np = pytest.importorskip("numpy")
    cache.put("s", np.arange(3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numpy", None)
        assert cache.get("s", MISSING) is MISSING
    assert cache.get("s").tolist() == [0, 1, 2]


def test_tables_are_written(cache: DiskCache) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    for one in (table, table.to_batches()[0], [table, 1], table.slice(1)):
        assert cache.put("s", one) is None
        with DiskCache(cache.path) as other:
            assert other.get("s") == one


# --- classes ---


def test_objects_of_classes_that_are_named_are_written(path: pathlib.Path) -> None:
    value = [Customer(name="a"), Point(1), Pair(1, [Color.RED]), {"a": Point(2)}]
    with DiskCache(path, types=[Customer, Point, Pair, Color]) as cache:
        assert cache.put("s", value) is None
        assert cache.put("plain", [1]) is None
    with DiskCache(path, types=[Customer, Point, Pair, Color]) as other:
        assert other.get("s") == value
    with DiskCache(path, types=[Point, Customer, Pair, Color]) as other:
        assert other.get("s", MISSING) is MISSING
        assert other.get("plain") == [1]
    with DiskCache(path) as other:
        assert other.get("s", MISSING) is MISSING
        assert other.has("s")


def test_objects_of_a_class_that_has_changed_are_not_found(path: pathlib.Path) -> None:
    def made(annotation: type, name: str = "x") -> type:
        return dataclasses.make_dataclass("Changing", [(name, annotation)])

    kind = made(int)
    with DiskCache(path, types=[kind]) as cache:
        cache.put("s", kind(1))
    for other, there in ((made(int), True), (made(str), False), (made(int, "y"), False)):
        with DiskCache(path, types=[other]) as cache:
            assert (cache.get("s", MISSING) is not MISSING) == there


def test_a_class_that_cannot_be_written_is_refused(path: pathlib.Path) -> None:
    with pytest.raises(OptionsError, match=r"types= of a cache: .*Foreign cannot be in the table"):
        DiskCache(path, types=[Foreign])


# --- pickles ---


def test_pickles_are_for_those_with_the_key(path: pathlib.Path) -> None:
    with DiskCache(path, pickle=True, key=KEY) as cache:
        assert cache.put("s", Foreign(1)) is None
        assert cache.put("plain", 1) is None
        assert cache.put("none", lambda: 1)
    with DiskCache(path, pickle=True, key=KEY) as other:
        assert other.get("s") == Foreign(1)
    for options in ({}, {"pickle": True, "key": b"another key of sixteen"}):
        with DiskCache(path, **options) as other:  # type: ignore[arg-type]  # mypy does not know which
            assert other.get("s", MISSING) is MISSING
            assert other.get("plain") == 1
    with DiskCache(path, pickle=True, key=KEY) as other:
        assert other.get("s") == Foreign(1)


def test_a_pickle_of_somebody_else_is_never_opened(path: pathlib.Path) -> None:
    opened: list[int] = []
    entries = disk_cache.Entries(key=b"an attacker's own key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pickle.dumps", lambda value, protocol: b"cpipe_core.no_such_module\nx\n.")
        evil = entries.seal("s", Foreign(1))
    with DiskCache(path, pickle=True, key=KEY) as cache:
        cache.put("s", 1)
        with sqlite3.connect(path / "index.sqlite") as index:
            index.execute("UPDATE entries SET data = ?", (evil,))
        index.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pickle.loads", lambda data: opened.append(1))
            assert cache.get("s", MISSING) is MISSING
    assert not opened


def test_a_pickle_that_cannot_be_opened_any_more_is_not_found(path: pathlib.Path) -> None:
    with DiskCache(path, pickle=True, key=KEY) as cache:
        cache.put("s", Foreign(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(globals(), "Foreign")
            assert cache.get("s", MISSING) is MISSING
        assert cache.get("s") == Foreign(1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pickle": True}, "wants a key="),
        ({"key": KEY}, "none without pickle=True"),
        ({"pickle": True, "key": b"short"}, "at least 16 bytes"),
        ({"pickle": True, "key": "text that is long enough"}, "at least 16 bytes"),
        ({"max_bytes": 0}, "above 0"),
        ({"max_age": -1}, "above 0"),
        ({"max_in_memory": 0}, "above 0"),
    ],
)
def test_wrong_options_are_refused(path: pathlib.Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionsError, match=text):
        DiskCache(path, **options)


# --- limits ---


def test_those_go_first_that_were_used_longest_ago(path: pathlib.Path, clock: list[float]) -> None:
    with DiskCache(path, max_bytes=10_000) as cache:
        for i in range(9):
            clock[0] += 1
            cache.put(str(i), "x" * 1000)
        clock[0] += 1
        assert cache.get("0") is not None
        for i in range(9, 12):
            clock[0] += 1
            cache.put(str(i), "x" * 1000)
        there = [i for i in range(12) if cache.has(str(i))]
        assert 0 in there
        assert there[-3:] == [9, 10, 11]
        assert 1 not in there
        assert cache.size().bytes <= 10_000


@pytest.mark.parametrize(("limit", "value"), [("_MOST_USES", 1), ("_USES_SECONDS", -1), ("", 0)])
def test_what_another_process_has_used_is_kept(
    path: pathlib.Path, clock: list[float], monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """Uses are written down when there are enough of them, or after a while, or at the end."""
    if limit:
        monkeypatch.setattr(disk_cache, limit, value)
    with DiskCache(path, max_bytes=10_000) as cache:
        for i in range(9):
            clock[0] += 1
            cache.put(str(i), "x" * 1000)
        clock[0] += 1
        other = DiskCache(path)
        assert other.get("0") is not None
        if not limit:
            other.close()
        clock[0] += 1
        cache.put("9", "x" * 1000)
        assert [cache.has(str(i)) for i in (0, 1, 9)] == [True, False, True]
        other.close()


def test_not_everything_is_kept_in_memory(path: pathlib.Path) -> None:
    with DiskCache(path, max_in_memory=2) as cache:
        for i in range(3):
            cache.put(str(i), Foreign(i))
        assert [cache.has(str(i)) for i in range(3)] == [False, True, True]


def test_files_go_with_their_entries(path: pathlib.Path) -> None:
    with DiskCache(path, max_bytes=200_000) as cache:
        for i in range(20):
            assert cache.put(str(i), LARGE) is None
        assert 2 <= cache.size().entries <= 3
        assert len(files(path)) == cache.size().entries
        assert cache.get("19") == LARGE
        assert "more than max_bytes" in (cache.put("huge", "x" * 300_000) or "")
        assert len(cache.get("huge")) == 300_000
        cache.clear()
        assert not files(path)
        assert cache.size() == disk_cache.CacheSize(0, 0)
        assert not cache.has("huge")


def test_what_is_too_old_is_not_there(path: pathlib.Path, clock: list[float]) -> None:
    with DiskCache(path, max_age=10) as cache:
        cache.put("a", LARGE)
        cache.put("memory", Foreign(1))
        clock[0] += 9
        cache.put("b", 1)
        assert cache.has("a")
        assert cache.has("memory")
        clock[0] += 2
        assert [cache.has(one) for one in ("a", "b", "memory")] == [False, True, False]
        assert cache.claim("a") is Claimed.MINE
        assert cache.get("a", MISSING) is MISSING
        assert not files(path)
        cache.put("c", LARGE)
        clock[0] += 20
        assert cache.size().entries == 2
        cache.shrink()
        assert cache.size().entries == 0
        cache.put("d", LARGE)
    clock[0] += 20
    with DiskCache(path, max_age=10) as other:
        assert other.size().entries == 0
    assert not files(path)


def test_one_can_be_removed(cache: DiskCache, path: pathlib.Path) -> None:
    for one in "ab":
        cache.put(one, LARGE)
    cache.remove("a")
    cache.remove("none")
    assert [cache.has(one) for one in "ab"] == [False, True]
    assert len(files(path)) == 1


def test_files_that_were_left_behind_are_removed(cache: DiskCache, path: pathlib.Path) -> None:
    cache.put("s", LARGE)
    (kept,) = files(path)
    old, new = (kept.parent / f"{kept.parent.name}{end}" for end in ("0123.part", "4567"))
    for one in (old, new, kept):
        one.write_bytes(kept.read_bytes())
    for one in (old, kept):
        os.utime(one, (0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("random.randrange", lambda _: int(kept.parent.name, 16))
        with DiskCache(path) as other:
            assert other.get("s") == LARGE
    assert sorted(files(path)) == sorted([kept, new])


# --- damage ---


def damage(data: bytes) -> Iterator[bytes]:
    yield b""
    yield data[:-1]
    yield data + b"\0"
    for place in (0, 4, 23, 24, 25, 40, len(data) - 1):
        yield data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_damaged_file_is_no_entry_and_removed(
    cache: DiskCache, path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("s", LARGE)
    for data in damage(files(path)[0].read_bytes()):
        files(path)[0].write_bytes(data)
        caplog.clear()
        assert cache.get("s", MISSING) is MISSING
        assert "is damaged" in caplog.text
        assert not cache.has("s")
        assert not files(path)
        cache.put("s", LARGE)
        assert cache.get("s") == LARGE


def test_damage_in_the_index_is_no_entry_and_removed(cache: DiskCache, path: pathlib.Path) -> None:
    cache.put("s", [1])
    index = sqlite3.connect(path / "index.sqlite")
    (good,) = index.execute("SELECT data FROM entries").fetchone()
    for data in (*damage(good), None):
        with index:
            index.execute("UPDATE entries SET data = ?", (data,))
        assert cache.get("s", MISSING) is MISSING
        assert not cache.has("s")
        cache.put("s", [1])
        assert cache.get("s") == [1]
    index.close()


def test_an_entry_of_another_signature_is_none(cache: DiskCache, path: pathlib.Path) -> None:
    cache.put("a", 1)
    with sqlite3.connect(path / "index.sqlite") as index:
        index.execute("UPDATE entries SET signature = 'b'")
    index.close()
    assert cache.get("b", MISSING) is MISSING


def test_a_file_that_is_gone_is_no_entry(cache: DiskCache, path: pathlib.Path) -> None:
    cache.put("s", LARGE)
    files(path)[0].unlink()
    assert cache.get("s", MISSING) is MISSING
    assert not cache.has("s")


def test_a_changed_index_does_not_lead_out_of_the_folder(cache: DiskCache, path: pathlib.Path) -> None:
    victim = path.parent / "victim"
    victim.touch()
    for name in ("../../victim", str(victim)):
        cache.put("s", LARGE)
        with sqlite3.connect(path / "index.sqlite") as index:
            index.execute("UPDATE entries SET file = ?", (name,))
        index.close()
        cache.remove("s")
        assert victim.exists()


def test_an_index_that_is_none_is_an_error_that_says_what_to_do(path: pathlib.Path) -> None:
    path.mkdir()
    (path / "index.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(CacheAccessError, match=r"not a database.*remove the folder") as caught:
        DiskCache(path).get("s")
    assert caught.value.path == str(path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionsError, match="is a file"):
        DiskCache(tmp_path / "file")
    with pytest.raises(CacheAccessError, match="Not a directory"):
        DiskCache(tmp_path / "file" / "cache").put("s", 1)


def test_a_full_disk_is_an_error_and_leaves_nothing(cache: DiskCache, path: pathlib.Path) -> None:
    cache.put("before", 1)

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(CacheAccessError, match="No space left on device"):
            cache.put("s", LARGE)
    assert not files(path)
    assert not cache.has("s")
    assert cache.get("before") == 1


# --- explaining ---


def test_it_knows_what_results_were_made_of(cache: DiskCache) -> None:
    def parts(node: str, value: object, code: str = "1") -> Parts:
        return Parts(node, {"the code": code}, {"a": sign(value), "b": "1"})

    for one in (parts("x", 1), parts("x", 2, "0"), parts("y", 3)):
        cache.put(one.signature, 1, one)
    cache.put("without", 1)
    assert cache.nearest(parts("z", 1)) is None
    with DiskCache(cache.path) as other:
        now = parts("x", 3)
        assert why(other.nearest(now), now) == ["input 'a' has another value"]
        now = parts("x", 1, "2")
        assert why(other.nearest(now), now) == ["the code of 'x' has changed"]
        assert why(other.nearest(parts("x", 1)), parts("x", 1)) == []
    here = parts("x", 5, "7")
    cache.put(here.signature, Foreign(1), here)
    assert cache.nearest(here) == here


# --- threads and other processes ---


def test_it_goes_to_other_processes_by_its_path(cache: DiskCache) -> None:
    cache.put("s", LARGE)
    cache.put("memory", Foreign(1))
    data = pickle.dumps(cache)
    assert len(data) < 300
    other = pickle.loads(data)
    assert other.get("s") == LARGE
    assert not other.has("memory")
    assert pickle.loads(data) is other
    other.close()
    with DiskCache(cache.path, max_bytes=10**6, max_age=60, types=[Point], pickle=True, key=KEY) as whole:
        again = pickle.loads(pickle.dumps(whole))
        assert (again.max_bytes, again.max_age) == (10**6, 60)
        again.put("p", Foreign(Point(1)))
        assert whole.get("p") == Foreign(Point(1))
        again.close()


def test_a_relative_path_stays_where_it_was(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = DiskCache("here")
    monkeypatch.chdir("/")
    assert cache.path == str(tmp_path / "here")


def test_many_threads_use_it_at_once(cache: DiskCache) -> None:
    def use(i: int) -> bool:
        signature = str(i % 50)
        value = [i % 50] * (1 if i % 2 else 10_000)
        cache.put(signature, value)
        found = cache.get(signature, MISSING)
        return bool(found == value or found is MISSING or found[0] == i % 50)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert cache.size().entries == 50


def test_connections_of_threads_that_have_ended_are_closed(cache: DiskCache, recwarn: pytest.WarningsRecorder) -> None:
    for _ in range(3):
        thread = threading.Thread(target=cache.get, args=("s",))
        thread.start()
        thread.join()
    cache.close()
    gc.collect()
    assert cache.get("s", MISSING) is MISSING
    assert not [one for one in recwarn if one.category is ResourceWarning]


# --- claims ---


def test_one_claims_and_others_wait(cache: DiskCache) -> None:
    assert cache.claim("s") is Claimed.MINE
    assert cache.claim("s") is Claimed.THEIRS
    assert cache.claim("other") is Claimed.MINE
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.claim, "s", wait=30)
        cache.put("s", 1)
        assert waiting.result() is Claimed.KEPT
    assert cache.claim("s") is Claimed.KEPT
    cache.remove("s")
    assert cache.claim("s") is Claimed.MINE


def test_a_claim_that_is_given_up_goes_to_the_next(cache: DiskCache) -> None:
    assert cache.claim("s") is Claimed.MINE
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.claim, "s", wait=30)
        cache.release("s")
        assert waiting.result() is Claimed.MINE


def test_a_result_that_stays_in_memory_gives_its_claim_up(cache: DiskCache) -> None:
    with DiskCache(cache.path) as other:
        for value in (Foreign(1), threading.Lock()):
            assert cache.claim("s") is Claimed.MINE
            assert other.claim("s") is Claimed.THEIRS
            try:
                cache.put("s", value)
            except NotKeptError:
                pass
            assert other.claim("s") is Claimed.MINE
            other.release("s")
            cache.clear()


def test_a_claim_ends_with_its_lease(cache: DiskCache, clock: list[float]) -> None:
    assert cache.claim("s", lease=10) is Claimed.MINE
    clock[0] += 9
    assert cache.claim("s", lease=10) is Claimed.THEIRS
    clock[0] += 2
    assert cache.claim("s", lease=10) is Claimed.MINE
    assert cache.claim("s", lease=10) is Claimed.THEIRS


def test_a_claim_of_another_machine_lasts_for_its_lease(cache: DiskCache, clock: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platform.node", lambda: "elsewhere")
        assert cache.claim("s", lease=10) is Claimed.MINE
    with sqlite3.connect(os.path.join(cache.path, "index.sqlite")) as index:
        index.execute("UPDATE claims SET process = 999999999")
    index.close()
    assert cache.claim("s") is Claimed.THEIRS
    clock[0] += 11
    assert cache.claim("s") is Claimed.MINE


def test_a_result_that_was_put_while_it_was_claimed_is_kept(cache: DiskCache) -> None:
    claims = cache._claims
    looked: list[bool] = []

    def has(signature: str) -> bool:
        looked.append(cache.has(signature))
        if len(looked) == 1:
            cache.put(signature, 1)
        return looked[-1]

    claims._has = has
    assert cache.claim("s") is Claimed.KEPT
    assert looked == [False, True]
    assert cache._index.claim_on("s") is None
