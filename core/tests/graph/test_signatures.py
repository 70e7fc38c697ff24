"""Signatures: equal for equal values of equal types, in every process; and of functions for what they do."""

from __future__ import annotations

import array
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import math
import operator
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr

from pipe_core.graph.caching.errors import UnsignableError
from pipe_core.graph.caching.signatures import combined, sign, sign_code, signature_of


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Size(enum.IntEnum):
    SMALL = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    y: int = 0


class Pair(typing.NamedTuple):
    x: int
    y: int


class Customer(BaseModel):
    name: str
    age: int = 0
    _secret: int = PrivateAttr(default=0)

    @functools.cached_property
    def shout(self) -> str:
        return self.name.upper()


class Plain:
    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


class Text(str):
    __slots__ = ()


class Names(set[str]):
    title = ""


def titled(title: str) -> Names:
    names = Names({"1"})
    names.title = title
    return names


class Keyed:
    def __init__(self, key: object) -> None:
        self.key = key
        self.lock = threading.Lock()

    def __cache_key__(self) -> object:
        return self.key


DIFFERENT: list[Any] = [
    None,
    0,
    1,
    -1,
    True,
    False,
    1.0,
    -0.0,
    0.0,
    math.inf,
    1j,
    2**63,
    2**64,
    -(2**64),
    10**5000,
    "1",
    "",
    "None",
    "\ud800",
    "\udfff",
    "?",
    b"1",
    b"",
    bytearray(b"1"),
    memoryview(b"1"),
    array.array("b", b"1"),
    array.array("B", b"1"),
    [],
    (),
    {},
    set(),
    frozenset(),
    [1],
    (1,),
    {1},
    frozenset({1}),
    [1, 2],
    [2, 1],
    [[1], 2],
    [[1, 2]],
    [1, [2]],
    [None],
    [True],
    ["1"],
    [1.0],
    [b"1"],
    {"a": 1},
    {"a": 1.0},
    {"a": "1"},
    {1: "a"},
    {"1": "a"},
    {True: "a"},
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {"a": 1, 2: None},
    collections.OrderedDict(a=1, b=2),
    collections.OrderedDict(b=2, a=1),
    collections.defaultdict(int, a=1),
    collections.defaultdict(float, a=1),
    collections.Counter("a"),
    collections.deque([1]),
    collections.deque([1], maxlen=2),
    range(3),
    range(0, 4, 2),
    slice(1, 2),
    slice(1, 2, 3),
    Ellipsis,
    NotImplemented,
    Color.RED,
    Color.BLUE,
    Size.SMALL,
    Rights.READ,
    Rights.READ | Rights.WRITE,
    Point(1),
    Point(1, 1),
    Slotted(1),
    Slotted(2),
    Pair(1, 2),
    Pair(2, 1),
    Customer(name="a"),
    Customer(name="b"),
    Customer(name="a", age=0),
    Plain(),
    Plain(a=1),
    Plain(a="1"),
    Plain(b=1),
    Text("1"),
    Names({"1"}),
    Names({"1", "2"}),
    titled("a"),
    titled("b"),
    Keyed(1),
    Keyed("1"),
    types.SimpleNamespace(a=1),
    datetime.date(2020, 1, 1),
    datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, fold=1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Rome")),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "CET")),
    datetime.UTC,
    datetime.time(1),
    datetime.timedelta(1),
    decimal.Decimal("1"),
    decimal.Decimal("1.0"),
    decimal.Decimal("NaN"),
    "NaN",
    decimal.Decimal("-NaN"),
    fractions.Fraction(1),
    uuid.UUID(int=1),
    pathlib.PurePosixPath("1"),
    pathlib.PureWindowsPath("1"),
    pathlib.Path("1"),
    ipaddress.ip_address("0.0.0.1"),
    re.compile("1"),
    re.compile("1", re.I),
    ValueError("1"),
    ValueError(1),
    int,
    bool,
    Point,
    math,
    len,
    math.sqrt,
    "1".join,
    "2".join,
    str.upper,
    operator.itemgetter(1),
    operator.itemgetter("1"),
    list[int],
    lambda: 1,
    lambda: 1.0,
    lambda: "1",
]


def test_values_and_types_are_told_apart() -> None:
    digests: dict[str, Any] = {}
    for value in DIFFERENT:
        other = digests.setdefault(sign(value), value)
        assert other is value, f"{other!r} and {value!r} have one digest"


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: type(value).__name__)
def test_a_value_has_one_digest(value: Any) -> None:
    again = value
    if not isinstance(value, memoryview | types.ModuleType | Keyed):
        again = copy.deepcopy(value)
    assert sign(again) == sign(value)
    assert sign([again, value]) == sign([value, again])


Json = None | bool | int | float | str | bytes | list[Any] | tuple[Any, ...] | dict[Any, Any]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.binary(max_size=3)
)
values: st.SearchStrategy[Json] = st.recursive(
    scalars | st.sampled_from([0, 1, -1, "", "0", "1", 0.0, 1.0, b"", b"0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(scalars, inner, max_size=3)
    ),
    max_leaves=6,
)


def typed(value: Any) -> Any:
    """*value* as something that is equal to what is of equal value and equal types."""
    if isinstance(value, dict):
        return dict, frozenset((typed(key), typed(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(map(typed, value))
    return type(value), value.hex() if isinstance(value, float) else value


@given(values, values)
def test_digests_are_equal_when_values_and_types_are(one: Json, other: Json) -> None:
    assert (sign(one) == sign(other)) == (typed(one) == typed(other))
    assert sign(copy.deepcopy(one)) == sign(one)


def test_the_same_object_twice_is_two_equal_ones() -> None:
    one = "long enough not to be shared" * 3
    assert sign([one, one]) == sign([one, "".join(list(one))])
    part = [1, Color.RED]
    assert sign([part, part]) == sign([list(part), list(part)])


def test_the_order_of_keys_and_members_does_not_count() -> None:
    assert sign({"a": 1, "b": [2]}) == sign({"b": [2], "a": 1})
    assert sign({1: "a", "1": "b", None: "c", (1, 2): "d"}) == sign({(1, 2): "d", None: "c", "1": "b", 1: "a"})
    assert sign({"x", 1, None}) == sign({None, 1, "x"})


def test_what_is_only_remembered_does_not_count() -> None:
    customer = Customer(name="a")
    before = sign(customer)
    assert customer.shout == "A"
    assert sign(customer) == before


def test_private_attributes_count() -> None:
    one, other = Customer(name="a"), Customer(name="a")
    other._secret = 1
    assert sign(one) != sign(other)


def test_an_object_says_itself_what_tells_it_apart() -> None:
    assert sign(Keyed("a")) == sign(Keyed("a")) != sign(Keyed("b"))

    class Same(Point):
        def __cache_key__(self) -> int:
            return 1

    assert sign(Same(1)) == sign(Same(2))


class Loud:
    def __reduce__(self) -> str:
        raise ZeroDivisionError("loud")


class Wrong:
    def __cache_key__(self) -> object:
        raise ZeroDivisionError("wrong")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (threading.Lock(), "lock"),
        ((one for one in ()), "generator"),
        (object(), r"bare object\(\)"),
        (Loud(), "ZeroDivisionError: loud"),
        (Wrong(), "__cache_key__ .* ZeroDivisionError: wrong"),
        (Keyed(threading.Lock()), "lock"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_told_apart_is_refused(value: object, text: str) -> None:
    with pytest.raises(UnsignableError, match=text) as caught:
        sign(value)
    assert caught.value.path == ""


def test_the_way_to_what_is_refused_is_told() -> None:
    with pytest.raises(UnsignableError, match=r"lock.*at \['a'\]\[1\]\.client\[2\]") as caught:
        sign({"b": 1, "a": [1, Plain(client={2: threading.Lock()})]})
    assert caught.value.path == "['a'][1].client[2]"


def test_what_contains_itself_is_refused() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    with pytest.raises(UnsignableError, match="contains itself"):
        sign(ring)


SCRIPT = """
import datetime, decimal, enum, pathlib, uuid, dataclasses
from pydantic import BaseModel
from pipe_core.graph.caching.signatures import sign, sign_code, combined

class Color(enum.Enum):
    RED = "red"

class Customer(BaseModel):
    names: set[str]
    tags: frozenset[str] = frozenset({"x", "y", "z"})

@dataclasses.dataclass
class Point:
    x: object

RATES = {"a", "b", "c"}

def helper(x):
    return x in {"p", "q", "r"}

def outer(names):
    def inner(x, where=frozenset({"k", "l", "m"})):
        return helper(x) or x in names or x in {"s", "t", "u"} or Point
    return inner

values = [{"b": 1, "a": {"x", "y", "z", Color.RED}, 3: None}, Customer(names={"e", "f", "g"}), Point({"h", "i"}),
          datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), decimal.Decimal("1.50"), pathlib.Path("a/b"),
          uuid.UUID(int=5), sign, outer({"n", "o", "p"})]
print(*map(sign, values), combined(sign_code(outer({"n", "o"}), helpers=True)))
"""


def test_all_processes_come_to_the_same_digests() -> None:
    found = []
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=50
        )
        assert run.returncode == 0, run.stderr
        found.append(run.stdout.split())
    assert len(found[0]) == 10
    assert found[0] == found[1] == found[2]


# --- functions ---


def module(text: str, name: str = "changing") -> types.ModuleType:
    """A module of this text, as after somebody has edited it."""
    made = types.ModuleType(name)
    exec(compile(textwrap.dedent(text), f"{name}.py", "exec"), made.__dict__)  # the text is the test's
    return made


def code_of(text: str, *, helpers: bool = False) -> dict[str, str]:
    return sign_code(module(text).f, helpers=helpers)


def changes(before: str, after: str, *, helpers: bool = False) -> set[str]:
    one, other = code_of(before, helpers=helpers), code_of(after, helpers=helpers)
    return {part for part in one.keys() | other.keys() if one.get(part) != other.get(part)}


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 2", {"the code"}),
        ("def f(x): return x + 1", "def f(x): return x + 1.0", {"the code"}),
        ("def f(x): return x + 1", "def f(x): return x - 1", {"the code"}),
        ("def f(x): return len(x)", "def f(x): return sum(x)", {"the code"}),
        ("def f(x): return x.a", "def f(x): return x.b", {"the code"}),
        ("def f(x): return (lambda: x + 1)()", "def f(x): return (lambda: x + 2)()", {"the code"}),
        ("def f(x):\n try: return x\n except KeyError: pass", "def f(x):\n return x", {"the code"}),
        ("def f(x, k=1): return x", "def f(x, k=True): return x", {"the default of 'k'"}),
        ("def f(x, *, k=1): return x", "def f(x, *, k=2): return x", {"the default of 'k'"}),
        ("def f(x, k=[1]): return x", "def f(x, k=(1,)): return x", {"the default of 'k'"}),
        ("def f(*x): return len(x)", "def f(**x): return len(x)", {"the code"}),
        ("async def f(x): return x", "def f(x): return x", {"the code"}),
    ],
)
def test_what_a_function_does_counts(before: str, after: str, parts: set[str]) -> None:
    assert changes(before, after) == parts


def test_where_a_function_stands_does_not_count() -> None:
    assert not changes("def f(x): return x + 1", "import math\n\n\n# a note\ndef f(x):\n    return x + 1  # more\n")
    assert not changes("def f(x): return x", "def f(x: int) -> int: return x")


def test_functions_of_other_names_or_modules_differ() -> None:
    text = "def f(x): return g(x)"
    assert sign_code(module(text, "one").f) != sign_code(module(text, "other").f)


def around(rate: Any) -> Callable[[int], Any]:
    def f(x: int) -> Any:
        return x * rate

    return f


def test_values_around_a_function_count() -> None:
    assert sign_code(around(1)) == sign_code(around(1))
    one, other = sign_code(around(1)), sign_code(around(True))
    assert {part for part in one if one[part] != other[part]} == {"the outer variable 'rate'"}
    assert sign_code(around(lambda x: x + 1)) != sign_code(around(lambda x: x + 2))


def test_values_around_a_function_are_signed_as_they_are_now() -> None:
    rates = [1]
    f = around(rates)
    before = sign_code(f)
    rates.append(2)
    assert sign_code(f) != before


def test_a_value_around_a_function_that_cannot_be_signed_is_named() -> None:
    with pytest.raises(UnsignableError, match=r"In the outer variable 'rate' of around.<locals>.f: .*lock") as caught:
        sign_code(around({"a": threading.Lock()}))
    assert caught.value.path == "['a']"


def test_a_bare_object_as_a_default_stands_for_no_value() -> None:
    text = "nothing = object()\ndef f(x, k=nothing): return x"
    assert not changes(text, text)


def test_a_function_may_call_itself() -> None:
    def made(base: int) -> Callable[[int], int]:
        def fact(n: int) -> int:
            return base if n < 2 else n * fact(n - 1)

        return fact

    def even_odd(last: bool) -> Callable[[int], bool]:
        def even(n: int) -> bool:
            return last if n == 0 else odd(n - 1)

        def odd(n: int) -> bool:
            return not last if n == 0 else even(n - 1)

        return even

    assert sign_code(made(1)) == sign_code(made(1)) != sign_code(made(2))
    assert sign_code(even_odd(True)) == sign_code(even_odd(True)) != sign_code(even_odd(False))
    assert sign(made(1)) == sign(made(1)) != sign(made(2))


def test_a_variable_that_has_no_value_yet() -> None:
    def made() -> Callable[[], int]:
        def f() -> int:
            return later

        kept.append(sign_code(f))
        later = 1
        return f

    kept: list[dict[str, str]] = []
    assert sign_code(made()) != kept[0]


HELPED = """
RATE = {rate}
def other(x): return x
def deep(x): return x + {deep}
def g(x): return deep(x) * 2
class Table:
    factor = {factor}
    def get(self): return {got}
def f(x): return [g(one) + RATE + Table().get() for one in x]
"""
PLAIN = {"rate": 1, "deep": 1, "factor": 1, "got": 1}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"rate": 2}, "the constant 'RATE'"),
        ({"deep": 2}, "the helper 'g'"),
        ({"factor": 2}, "the helper 'Table'"),
        ({"got": 2}, "the helper 'Table'"),
    ],
)
def test_helpers_count_where_they_are_asked_for(change: dict[str, int], part: str) -> None:
    before, after = HELPED.format(**PLAIN), HELPED.format(**{**PLAIN, **change})
    assert not changes(before, after)
    assert changes(before, after, helpers=True) == {part}
    assert not changes(before, before.replace("def other(x): return x", "def other(x): return 2"), helpers=True)


def test_helpers_may_call_each_other() -> None:
    text = "def g(x): return f(x - {0}) if x else 0\ndef f(x): return g(x - 1) if x else 0"
    assert not changes(text.format(1), text.format(1), helpers=True)
    assert changes(text.format(1), text.format(2), helpers=True) == {"the helper 'g'"}


def test_helpers_of_other_modules_do_not_count() -> None:
    assert not [part for part in sign_code(test_helpers_may_call_each_other, helpers=True) if "pytest" in part]
    assert "the helper 'changes'" in sign_code(test_helpers_may_call_each_other, helpers=True)


class Scaled:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return x * self.factor

    def method(self, x: int) -> int:
        return x + self.factor


def added(x: int, y: int) -> int:
    return x + y


@pytest.mark.parametrize(
    "make",
    [
        Scaled,
        lambda k: Scaled(k).method,
        lambda k: functools.partial(added, k),
        lambda k: functools.partial(added, y=k),
    ],
)
def test_whatever_can_be_called_is_signed_with_what_it_keeps(make: Callable[[int], Callable[..., int]]) -> None:
    assert sign_code(make(1)) == sign_code(make(1)) != sign_code(make(2))
    assert sign_code(make(1), helpers=True) == sign_code(make(1), helpers=True)


def test_functions_that_are_wrapped_count() -> None:
    def traced(fn: Callable[[int], int]) -> Callable[[int], int]:
        @functools.wraps(fn)
        def wrapper(x: int) -> int:
            return fn(x)

        return wrapper

    one, same, other = lambda x: x + 1, lambda x: x + 1, lambda x: x + 2
    for wrap in (traced, functools.lru_cache):
        assert sign_code(wrap(one)) == sign_code(wrap(same)) != sign_code(wrap(other))


def test_builtins_and_classes_are_functions_too() -> None:
    found = [sign_code(fn) for fn in (len, math.sqrt, str.upper, "1".join, int, Point, Scaled)]
    assert len({combined(one) for one in found}) == len(found)


def test_a_class_made_in_a_function_is_its_code() -> None:
    def made(more: bool) -> type:
        if more:

            class Local:
                def get(self) -> int:
                    return 2

        else:

            class Local:  # type: ignore[no-redef]  # one of the two is made
                def get(self) -> int:
                    return 1

        return Local

    assert sign(made(True)) == sign(made(True)) != sign(made(False))
    assert sign(made(True)()) == sign(made(True)()) != sign(made(False)())


def test_the_signature_of_a_result_is_of_code_and_inputs() -> None:
    found = [
        signature_of("c", {"a": "1", "b": "2"}),
        signature_of("d", {"a": "1", "b": "2"}),
        signature_of("c", {"a": "2", "b": "1"}),
        signature_of("c", {"a": "1"}),
        signature_of("c", {}),
    ]
    assert len(set(found)) == len(found)
    assert found[0] == signature_of("c", {"b": "2", "a": "1"})


# --- arrays, tables and frames ---


def test_arrays() -> None:
    np = pytest.importorskip("numpy")
    grid = np.arange(6).reshape(2, 3)
    different = [
        grid,
        grid.T,
        grid.ravel(),
        grid.astype("i4"),
        grid.astype(">i8"),
        grid.astype(float),
        grid.tolist(),
        grid.astype(object),
        np.array(1),
        np.int64(1),
        np.int32(1),
        np.float64(1),
        np.bool_(True),
        1,
        1.0,
        True,
        np.array([]),
        np.zeros((0, 2)),
        np.array(["a", None], dtype=object),
        np.array(["a", "b"]),
        np.array([1, 2], dtype="M8[s]"),
        np.array([1, 2], dtype="M8[ns]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("c", "f8")]),
        np.ma.masked_array([1, 2], [0, 1]),
        np.dtype("i4"),
        np.dtype("i8"),
        np.sqrt,
        np.add,
    ]
    digests = [sign(value) for value in different]
    assert len(set(digests)) == len(digests)
    assert [sign(copy.deepcopy(value)) for value in different] == digests
    assert sign(np.asfortranarray(grid)) == sign(grid) == sign(np.vstack([grid, grid])[::1][:2])
    assert sign({"a": [grid]}) == sign({"a": [grid.copy()]})
    with pytest.raises(UnsignableError, match="lock"):
        sign(np.array([threading.Lock()], dtype=object))


def test_tables() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    different = [
        table,
        table.select(["b", "a"]),
        table.slice(1),
        table.replace_schema_metadata({"k": "v"}),
        table.cast(pa.schema([("a", pa.int32()), ("b", pa.string())])),
        table.to_batches()[0],
        table.column("a"),
        table.column("a").chunk(0),
        table.schema,
        pa.int64(),
        pa.scalar(1),
        pa.table({}),
    ]
    digests = [sign(value) for value in different]
    assert len(set(digests)) == len(digests)
    assert sign(pa.concat_tables([table.slice(0, 1), table.slice(1)])) == sign(table)
    assert sign(table.slice(1)) == sign(pa.table({"a": [2, 3], "b": [None, "z"]}))


def test_frames() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.Categorical(["p", "q"])})
    moments = pd.to_datetime(["2020-01-01", "2020-01-02"])
    different = [
        frame,
        frame[["b", "a", "c"]],
        frame.rename(columns={"a": "z"}),
        frame.set_index("a"),
        frame.set_index(["a", "b"]),
        frame.set_index("b").index,
        frame.set_index("c").index,
        frame["c"].array,
        frame["a"].astype("Int64").array,
        frame.assign(a=pd.array([1, None], dtype="Int64")),
        pd.interval_range(0, 2),
        pd.period_range("2020", periods=2, freq="D"),
        pd.Index(["x", None]),
        frame.astype({"a": "Int64"}),
        frame.astype({"a": float}),
        frame.assign(a=[1, 3]),
        frame.assign(b=["x", "z"]),
        frame.assign(c=pd.Categorical(["p", "p"])),
        frame.assign(d=moments),
        frame.assign(d=moments.tz_localize("UTC")),
        frame["a"],
        frame["a"].rename("z"),
        frame.index,
        frame.columns,
        pd.Timestamp(0),
        pd.Timestamp(0, tz="UTC"),
        pd.DataFrame(),
    ]
    digests = [sign(value) for value in different]
    assert len(set(digests)) == len(digests)
    assert [sign(copy.deepcopy(value)) for value in different] == digests
    grown = pd.DataFrame({"a": [1, 2]})
    grown["b"], grown["c"] = frame["b"], frame["c"]
    assert sign(grown) == sign(frame)


def test_no_library_is_imported_for_a_signature() -> None:
    script = (
        "import sys; from pipe_core.graph.caching.signatures import sign; sign([{'a': {1}}, sign, object]);"
        "print([one for one in ('numpy', 'pandas', 'pyarrow') if one in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert run.stdout.split() == ["[]"], run.stderr
