from __future__ import annotations

import itertools
import sys

import pytest
from fake_distributions import Site, plugin

from pipe_core import PluginBlockedError, PluginConflictError, PluginNotFoundError, get_executor
from pipe_core.kernel.families import FAMILIES, Family
from pipe_core.kernel.index import PluginIndex
from pipe_core.kernel.kernel import Kernel


def refusal(name: str, family: str = "executors", **environ: str) -> PluginNotFoundError:
    with pytest.raises(PluginNotFoundError) as caught:
        PluginIndex(environ).find(family, name)
    return caught.value


# --- unknown names ---


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("ray", " Install it: pip install pipe-ray"),
        ("rey", " Did you mean 'ray'? Install it: pip install pipe-ray"),
        ("RAY", " Did you mean 'ray'? Install it: pip install pipe-ray"),
        ("thread", " Did you mean 'threads'? Install it: pip install pipe-threads"),
        ("snyc", " Did you mean 'sync'?"),
        ("pipe-ray:ray", " Install it: pip install pipe-ray"),
        ("nothing-like-it", ""),
        ("", ""),
    ],
)
def test_an_unknown_executor_is_answered_with_what_there_is_and_how_to_get_it(
    asked: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PluginIndex, "names", lambda self, family: ["sync"])
    monkeypatch.setattr(PluginIndex, "entries", lambda self, family: ())
    error = refusal(asked)

    assert str(error) == f"No executor named '{asked}'. Installed: sync.{hint}"
    assert (error.family, error.name, error.installed) == ("executors", asked, ("sync",))
    assert isinstance(error, LookupError)


@pytest.mark.parametrize(
    ("asked", "package"),
    [("parquet", "pipe-arrow"), ("sqlite", "pipe-sql"), ("delta", "pipe-delta"), ("kafka", "pipe-kafka")],
)
def test_a_published_format_that_is_not_installed_is_named_with_its_package(
    asked: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PluginIndex, "entries", lambda self, family: ())

    assert str(refusal(asked, "formats")).endswith(f"pip install {package}")


def test_an_installed_name_needs_no_install_command(site: Site) -> None:
    site.install("pipe-ray", plugin("executor", "ray"), "ray", family="executors")
    error = refusal("rey")

    assert str(error).endswith("Did you mean 'ray'?")
    assert "ray" in error.installed


def test_the_error_reaches_the_user() -> None:
    with pytest.raises(PluginNotFoundError, match=r"Did you mean 'sync'\?$"):
        get_executor("synk")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_every_family_answers_in_its_own_word(family: Family, kernel: Kernel) -> None:
    name, word = family.name, family.word

    with pytest.raises(PluginNotFoundError, match=f"^No {word} named 'zzz'. Installed: "):
        kernel.spec(name, "zzz")


# --- one name, two distributions ---

OFFERS = ("pipe-one", "pipe-two", "pipe-three")


@pytest.mark.parametrize("order", list(itertools.permutations(OFFERS)), ids="-".join)
def test_two_owners_of_one_name_are_told_apart_in_any_order_of_discovery(
    site: Site, kernel: Kernel, order: tuple[str, ...]
) -> None:
    for distribution in order:
        site.install(distribution, plugin("codec", "hello"), "hello")

    with pytest.raises(PluginConflictError) as caught:
        kernel.choose("codecs", "hello")

    assert caught.value.distributions == ("pipe-one", "pipe-three", "pipe-two")
    assert str(caught.value) == (
        "3 distributions offer the codec 'hello': pipe-one, pipe-three, pipe-two. Say which one you mean: "
        "'pipe-one:hello' or 'pipe-three:hello' or 'pipe-two:hello', or uninstall one."
    )
    for distribution in OFFERS:
        chosen = kernel.choose("codecs", f"{distribution}:hello")
        assert chosen.entry.distribution == distribution
        assert chosen.spec.options.__module__ == distribution.replace("-", "_")


def test_a_conflict_matters_only_to_those_who_select_it(site: Site, kernel: Kernel) -> None:
    site.install("pipe-one", plugin("codec", "hello", "mine"), "hello", "mine")
    site.install("pipe-two", plugin("codec", "hello"), "hello")

    assert kernel.index.names("codecs").count("hello") == 1
    assert kernel.make("codecs", "mine")[0] == "mine"
    assert kernel.make("codecs", "msgpack").decode(kernel.make("codecs", "msgpack").encode([1])) == [1]


def test_a_plugin_may_not_take_the_name_of_a_built_in_silently(site: Site, kernel: Kernel) -> None:
    site.install("pipe-evil", plugin("executor", "sync"), "sync", family="executors")

    with pytest.raises(PluginConflictError, match="'pipe-core:sync' or 'pipe-evil:sync'"):
        kernel.choose("executors", "sync")
    assert kernel.choose("executors", "pipe-core:sync").entry.module == "pipe_core.executors.sync"


def test_one_name_in_two_families_is_no_conflict(site: Site, kernel: Kernel) -> None:
    site.install("pipe-one", plugin("codec", "hello"), "hello")
    site.install("pipe-two", plugin("format", "hello"), "hello", family="formats")

    assert kernel.choose("codecs", "hello").entry.distribution == "pipe-one"
    assert kernel.choose("formats", "hello").entry.distribution == "pipe-two"


@pytest.mark.parametrize("written", ["pipe-hello:x", "pipe_hello:x", "Pipe.Hello:x"])
def test_a_distribution_s_name_may_be_written_in_any_way(site: Site, kernel: Kernel, written: str) -> None:
    site.install("pipe-hello", plugin("codec", "x"), "x")

    assert kernel.index.find("codecs", written).distribution == "pipe-hello"


def test_blocking_one_of_two_owners_settles_the_conflict(site: Site) -> None:
    site.install("pipe-one", plugin("codec", "hello"), "hello")
    site.install("pipe-two", plugin("codec", "hello"), "hello")

    chosen = PluginIndex({"PIPE_DISABLE_PLUGINS": "pipe-one:hello"}).find("codecs", "hello")

    assert chosen.distribution == "pipe-two"


# --- blocked plugins ---


@pytest.mark.parametrize(
    ("variable", "value", "blocked"),
    [
        ("PIPE_DISABLE_PLUGINS", "hello", {"hello"}),
        ("PIPE_DISABLE_PLUGINS", "pipe-hello:hello", {"hello"}),
        ("PIPE_DISABLE_PLUGINS", "pipe_hello:hello , Bye", {"hello", "bye"}),
        ("PIPE_DISABLE_PLUGINS", "pipe-other:hello", set()),
        ("PIPE_DISABLE_PLUGINS", "msgpack", {"msgpack"}),
        ("PIPE_DISABLE_PLUGINS", "", set()),
        ("PIPE_NO_PLUGINS", "1", {"hello", "bye"}),
        ("PIPE_NO_PLUGINS", "0", set()),
        ("PIPE_NO_PLUGINS", "", set()),
        ("PIPE_ONLY_PLUGINS", "bye", {"hello"}),
        ("PIPE_ONLY_PLUGINS", "pipe-hello:bye", {"hello"}),
        ("PIPE_ONLY_PLUGINS", "hello,bye", set()),
        ("PIPE_ONLY_PLUGINS", "something-else", {"hello", "bye"}),
        ("PIPE_ONLY_PLUGINS", "", set()),
    ],
)
def test_the_environment_keeps_plugins_out(site: Site, variable: str, value: str, blocked: set[str]) -> None:
    module = site.install("pipe-hello", plugin("codec", "hello", "bye"), "hello", "bye")
    kernel = Kernel(environ={variable: value})
    known = {"hello", "bye", "msgpack"}

    assert known - set(kernel.index.names("codecs")) == blocked
    for name in blocked:
        with pytest.raises(PluginBlockedError) as caught:
            kernel.choose("codecs", name)
        assert f"is installed but blocked by {variable}. Change or unset {variable} to use it." in str(caught.value)
        assert caught.value.name == name
    assert module not in sys.modules
    for name in known - blocked:
        kernel.choose("codecs", name)


@pytest.mark.parametrize("environ", [{"PIPE_NO_PLUGINS": "1"}, {"PIPE_ONLY_PLUGINS": "hello"}], ids=str)
def test_core_s_own_plugins_are_blocked_by_name_only(environ: dict[str, str]) -> None:
    own = {
        (family, entry.name): entry.blocked
        for family in FAMILIES
        for entry in PluginIndex(environ).entries(family)
        if entry.distribution == "pipe-core"
    }

    assert len(own) >= 12
    assert set(own.values()) == {None}


def test_a_blocked_plugin_is_never_imported_by_looking_through_all(site: Site) -> None:
    module = site.install("pipe-hello", "raise SystemExit", "hello", family="formats")
    kernel = Kernel(environ={"PIPE_DISABLE_PLUGINS": "hello"})

    names = [entry.name for entry, spec in kernel.usable("formats")]

    assert "csv" in names
    assert "hello" not in names
    assert module not in sys.modules


def test_the_process_s_environment_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("pipe-hello", plugin("codec", "hello"), "hello")
    monkeypatch.setenv("PIPE_NO_PLUGINS", "1")

    assert PluginIndex().entries("codecs")[0].blocked == "PIPE_NO_PLUGINS"


def test_an_entry_tells_where_it_came_from(site: Site) -> None:
    module = site.install("pipe-hello", plugin("codec", "hello"), "hello", version="2.5")
    entry = PluginIndex({}).find("codecs", "hello")

    assert (entry.distribution, entry.version, entry.module, entry.qualified) == (
        "pipe-hello", "2.5", module, "pipe-hello:hello",
    )  # fmt: skip
    assert module not in sys.modules
