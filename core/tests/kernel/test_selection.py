from __future__ import annotations

from concurrent.futures import Executor as StandardExecutor
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fake_distributions import Site, plugin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipe_core import (
    Executor,
    OptionsError,
    PriorityScheduler,
    SyncFifoExecutor,
    get_codec,
    get_executor,
    get_scheduler,
    using,
)
from pipe_core.executors.sync import SyncOptions
from pipe_core.kernel.kernel import Choice, Kernel
from pipe_core.kernel.selection import Selection, parse

OPTIONS = (
    "num_cpus: int = 1\n    ratio: float = 0.5\n    label: str = ''\n    fast: bool = False\n    address: str = ''"
)


@pytest.fixture
def mine(site: Site) -> str:
    """The module of a distribution that offers the executor ``mine``."""
    source = plugin("executor", "mine", "my_own", "Mine2", options=OPTIONS)
    return site.install("pipe-mine", source, "mine", "my_own", "Mine2", family="executors")


# --- every form says the same ---


@pytest.mark.parametrize(
    ("asked", "name", "options"),
    [
        ("mine", "mine", {}),
        (" mine ", "mine", {}),
        ("pipe-mine:mine", "mine", {}),
        ("mine://", "mine", {}),
        ("mine://head:10001", "mine", {"address": "mine://head:10001"}),
        ("mine://head:10001?num_cpus=4&label=a%20b", "mine", {"address": "mine://head:10001", "num_cpus": 4, "label": "a b"}),  # noqa: E501  # one case a line
        ("mine://?fast=true&ratio=0.25", "mine", {"fast": True, "ratio": 0.25}),
        ("mine:///var/x?label=", "mine", {"address": "mine:///var/x", "label": ""}),
        ("my_own://head?num_cpus=2", "my_own", {"address": "my_own://head", "num_cpus": 2}),
        ("Mine2://?num_cpus=2", "Mine2", {"num_cpus": 2}),
        ("pipe-mine:mine://head?num_cpus=2", "mine", {"address": "mine://head", "num_cpus": 2}),
        (("mine", {"num_cpus": 4}), "mine", {"num_cpus": 4}),
        (["mine", {"num_cpus": 4}], "mine", {"num_cpus": 4}),
        (("mine://?num_cpus=2&fast=1", {"num_cpus": 4}), "mine", {"num_cpus": 4, "fast": True}),
        ({"name": "mine", "num_cpus": 4}, "mine", {"num_cpus": 4}),
        ({"name": "mine://?num_cpus=2", "fast": True}, "mine", {"num_cpus": 2, "fast": True}),
        ({"name": "mine"}, "mine", {}),
    ],
    ids=str,
)  # fmt: skip
def test_a_selection_may_be_said_in_many_forms(
    mine: str, kernel: Kernel, asked: Any, name: str, options: dict[str, Any]
) -> None:
    choice = kernel.choose("executors", asked)

    assert isinstance(choice, Choice)
    assert choice.entry.name == name
    assert choice.options.model_dump(exclude_unset=True) == options


def test_an_options_model_selects_its_plugin(mine: str, kernel: Kernel) -> None:
    kernel.choose("executors", "mine")
    import sys

    model = sys.modules[mine].Options(num_cpus=3)
    choice = kernel.choose("executors", model)

    assert choice.entry.distribution == "pipe-mine"
    assert choice.options == model
    assert get_executor(SyncOptions()).name == "sync"


def test_options_beside_an_options_model_are_stronger(mine: str, kernel: Kernel) -> None:
    kernel.choose("executors", "mine")
    import sys

    choice = kernel.choose("executors", sys.modules[mine].Options(num_cpus=3, fast=True), {"num_cpus": 5})

    assert choice.options.model_dump(exclude_unset=True) == {"num_cpus": 5, "fast": True}


def test_an_options_model_of_nobody_is_refused(kernel: Kernel) -> None:
    from pydantic import BaseModel

    class Stranger(BaseModel):
        pass

    with pytest.raises(OptionsError, match="Stranger is the options model of no installed executor"):
        kernel.choose("executors", Stranger())


@pytest.mark.parametrize(
    "asked", ["", "  ", ("mine",), ("mine", 3), ("mine", {}, {}), (3, {}), [], ["a", "b"]], ids=str
)
def test_what_selects_nothing_is_refused(kernel: Kernel, asked: Any) -> None:
    with pytest.raises(OptionsError, match="executor"):
        kernel.choose("executors", asked)


@pytest.mark.parametrize("asked", ["://x", "://", "ray:"])
def test_a_url_without_a_name_finds_nothing(kernel: Kernel, asked: str) -> None:
    with pytest.raises((OptionsError, LookupError), match="executor"):
        kernel.choose("executors", asked)


def test_nothing_chosen_at_all_is_told(kernel: Kernel) -> None:
    with pytest.raises(OptionsError, match=r"No executor was chosen\. Name one of: .*sync"):
        kernel.choose("executors")


def test_options_alone_are_meant_for_what_weaker_levels_select(mine: str, tmp_path: Path) -> None:
    kernel = Kernel(environ={"PIPE_EXECUTOR": "mine"}, folder=tmp_path)

    assert kernel.choose("executors", None, {"num_cpus": 8}).options.num_cpus == 8
    assert kernel.choose("executors", {"num_cpus": 9}).options.num_cpus == 9


# --- finished products ---


class Elsewhere(StandardExecutor):
    """Somebody's own executor."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_an_executor_of_ours_is_taken_as_it_is() -> None:
    executor = SyncFifoExecutor()

    assert get_executor(executor) is executor


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor, Elsewhere])
def test_any_standard_executor_is_taken(kind: type[StandardExecutor]) -> None:
    with kind() as pool, get_executor(pool) as executor:
        assert isinstance(executor, Executor)
        assert executor.name == kind.__name__
        assert executor.capabilities.in_process is (kind is ThreadPoolExecutor)


def test_a_standard_executor_may_come_from_the_settings() -> None:
    with ThreadPoolExecutor(1) as pool, using(executor=pool), get_executor() as executor:
        assert executor.name == "ThreadPoolExecutor"
        assert get_executor("sync").name == "sync"


@pytest.mark.parametrize("thing", [3, object(), print, 1.5])
def test_what_is_no_executor_is_refused(thing: Any) -> None:
    with pytest.raises(OptionsError, match=r"is no executor\. Give a name such as 'sync'"):
        get_executor(thing)


def test_options_beside_a_finished_executor_are_refused() -> None:
    with pytest.raises(OptionsError, match=r"Options \(max_workers\) were given together with a finished executor"):
        get_executor(SyncFifoExecutor(), max_workers=3)


def test_a_finished_product_wins_over_weaker_names() -> None:
    executor = SyncFifoExecutor()
    with using(executor="nothing-like-it"):
        assert get_executor(executor) is executor


def test_products_of_the_other_families_are_taken_as_they_are() -> None:
    codec, scheduler = get_codec(), get_scheduler()

    assert get_codec(codec) is codec
    assert get_scheduler(scheduler) is scheduler


@pytest.mark.parametrize("one", [3, PriorityScheduler, {1, 2}], ids=["number", "class", "set"])
def test_what_is_no_scheduler_is_not_taken_for_one(one: Any) -> None:
    with pytest.raises(OptionsError, match=r"is no scheduler\. Give a name such as 'priority'") as caught:
        get_scheduler(one)
    assert str(caught.value).startswith(repr(one))


def test_each_asking_makes_a_product_of_its_own() -> None:
    assert get_scheduler() is not get_scheduler()
    assert get_executor() is not get_executor()


def test_parsing_alone_imports_and_finds_nothing() -> None:
    assert parse("ray://head:1?x=2", "executor") == Selection("ray", {"x": "2", "address": "ray://head:1"})


# --- one law for all ways of saying options ---

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "num_cpus": st.integers(-(2**31), 2**31),
        "ratio": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "label": TEXT,
        "fast": st.booleans(),
    },
)


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return repr(float(value)) if isinstance(value, float) else str(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=GIVEN)
def test_options_parse_alike_wherever_they_were_said(mine: str, tmp_path: Path, options: dict[str, Any]) -> None:
    file = tmp_path / "pipe.toml"
    file.unlink(missing_ok=True)
    empty = Kernel(environ={}, folder=tmp_path)
    expected = empty.choose("executors", "mine", options).options
    assert expected.model_dump(exclude_unset=True) == options
    environ = {"PIPE_EXECUTOR": "mine"} | {
        f"PIPE_EXECUTOR__{name.upper()}": str(value) for name, value in options.items()
    }
    said = {
        "a pair": empty.choose("executors", ("mine", options)),
        "a dictionary": empty.choose("executors", {"name": "mine", **options}),
        "a URL": empty.choose("executors", f"mine://?{urlencode(options)}"),
        "an options model": empty.choose("executors", expected),
        "the environment": Kernel(environ=environ, folder=tmp_path).choose("executors"),
        "a URL in the environment": Kernel(
            environ={"PIPE_EXECUTOR": f"mine://?{urlencode(options)}"}, folder=tmp_path
        ).choose("executors"),
    }
    with using(executor={"name": "mine", **options}):
        said["a block"] = empty.choose("executors")
    lines = "".join(f"{name} = {toml(value)}\n" for name, value in options.items())
    file.write_text(f'[executor]\nname = "mine"\n{lines}', encoding="utf-8")
    said["a file"] = Kernel(environ={}, folder=tmp_path).choose("executors")

    assert {place: choice.options for place, choice in said.items()} == dict.fromkeys(said, expected)
