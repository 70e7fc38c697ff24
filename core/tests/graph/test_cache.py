"""What a cache is, the one in memory, and what tells why a result is not there."""

from __future__ import annotations

import pickle
import threading

import pytest

from pipe_core import OptionsError
from pipe_core.graph.caching import memory as cache_module
from pipe_core.graph.caching.disk import DiskCache
from pipe_core.graph.caching.errors import CacheError, NotKeptError
from pipe_core.graph.caching.memory import MISSING, Cache, MemoryCache
from pipe_core.graph.caching.parts import Parts, nearest, why


def test_both_are_caches() -> None:
    assert isinstance(MemoryCache(), Cache)
    assert issubclass(DiskCache, Cache)


@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": [1]}])
def test_whatever_is_kept_is_found(value: object) -> None:
    cache = MemoryCache()
    assert cache.get("s", MISSING) is MISSING
    assert not cache.has("s")
    assert cache.put("s", value) is None
    assert cache.has("s")
    assert cache.get("s", MISSING) == value


def test_nobody_changes_what_is_kept() -> None:
    cache = MemoryCache()
    value = {"a": [1]}
    cache.put("s", value)
    value["a"].append(2)
    found = cache.get("s")
    assert found == {"a": [1]}
    found["a"].append(3)
    assert cache.get("s") == {"a": [1]}


def test_the_very_object_is_kept_where_that_is_wanted() -> None:
    cache = MemoryCache(copies=False)
    lock = threading.Lock()
    cache.put("s", lock)
    assert cache.get("s") is lock


def test_what_cannot_be_copied_is_not_kept() -> None:
    cache = MemoryCache()
    with pytest.raises(NotKeptError, match="lock is not kept, as it cannot be copied"):
        cache.put("s", threading.Lock())
    with pytest.raises(CacheError, match="read only once"):
        MemoryCache(copies=False).put("s", iter([1]))
    assert not cache.has("s")


def test_those_go_first_that_were_used_longest_ago() -> None:
    cache = MemoryCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.has(one) for one in "abc"] == [True, False, True]
    assert len(cache) == 2


def test_what_is_too_old_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(cache_module, "time", lambda: now[0])
    cache = MemoryCache(max_age=10)
    cache.put("s", 1)
    now[0] += 9
    assert cache.has("s")
    now[0] += 2
    assert not cache.has("s")
    assert cache.get("s", MISSING) is MISSING
    assert len(cache) == 0


def test_things_are_taken_out() -> None:
    cache = MemoryCache()
    for one in "abc":
        cache.put(one, one)
    cache.remove("a")
    cache.remove("none")
    assert [cache.has(one) for one in "abc"] == [False, True, True]
    cache.clear()
    assert len(cache) == 0


def test_it_goes_empty_to_other_processes() -> None:
    cache = MemoryCache(5, max_age=3, copies=False)
    cache.put("s", "x" * 10_000)
    data = pickle.dumps(cache)
    assert len(data) < 200
    again = pickle.loads(data)
    assert (len(again), again.max_entries, again.max_age, again.copies) == (0, 5, 3, False)


@pytest.mark.parametrize("limit", [{"max_entries": 0}, {"max_age": 0}, {"max_age": -1}])
def test_limits_under_which_nothing_is_kept_are_refused(limit: dict[str, int]) -> None:
    with pytest.raises(OptionsError, match="must be above 0"):
        MemoryCache(**limit)


# --- why ---

CODE = {"the code": "1", "the default of 'k'": "1"}


def parts(node: str = "x", code: dict[str, str] | None = None, **inputs: str) -> Parts:
    return Parts(node, CODE if code is None else code, inputs)


@pytest.mark.parametrize(
    ("previous", "now", "reasons"),
    [
        (parts(a="1"), parts(a="1"), []),
        (None, parts(a="1"), ["no result of 'x' is in the cache"]),
        (parts(a="1"), parts(a="2"), ["input 'a' has another value"]),
        (parts(a="1"), parts(b="1"), ["input 'b' is new", "input 'a' is gone"]),
        (parts(code={"the code": "1"}), parts(code={"the code": "2"}), ["the code of 'x' has changed"]),
        (parts(code={"the code": "1"}), parts(), ["the default of 'k' of 'x' is new"]),
        (
            parts(a="1", b="1"),
            parts(a="2", b="2", code={**CODE, "the code": "2"}),
            ["the code of 'x' has changed", "input 'a' has another value", "input 'b' has another value"],
        ),
    ],
)
def test_what_has_changed_is_told(previous: Parts | None, now: Parts, reasons: list[str]) -> None:
    assert why(previous, now) == reasons
    if previous is not None:
        assert (previous.signature == now.signature) == (not reasons)


def test_the_nearest_result_is_that_of_the_same_node_with_least_differences() -> None:
    near, far, other = parts(a="1", b="2"), parts(a="3", b="3"), parts("y", a="1", b="1")
    now = parts(a="1", b="1")
    assert nearest(now, [far, near, other]) == near
    assert nearest(now, [other]) is None
    cache = MemoryCache()
    for i, one in enumerate((far, near, other)):
        cache.put(str(i), i, one)
    cache.put("none", 1)
    assert cache.nearest(now) == near
