from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_distributions import Site, plugin

from pipe_core import OptionsError, SettingsError, using
from pipe_core.kernel.kernel import Kernel
from pipe_core.kernel.settings import KINDS, SELECTED, Setting, Settings

LEVELS = ("using(...)", "environment", "pipe.toml", "pyproject.toml", "default")
PAIRS = [(strong, weak) for i, strong in enumerate(LEVELS) for weak in LEVELS[i + 1 :]]
PAIRS.remove(("pipe.toml", "pyproject.toml"))  # in one folder only the first is read at all


class Places:
    """Says a value of a setting at some of the places where people can say it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}
        self.stack = ExitStack()

    def say(self, level: str, name: str, value: Any) -> str:
        """Say it at *level*; the result is the source that must be told."""
        if level == "using(...)":
            self.stack.enter_context(using(**{name: value}))
            return level
        if level == "environment":
            self.environ[f"PIPE_{name.upper()}"] = str(value)
            return f"PIPE_{name.upper()}"
        if level == "default":
            return level
        path = self.folder / level
        head = "" if level == "pipe.toml" else "[tool.pipe]\n"
        path.write_text(f"{head}{name} = {value!r}\n")
        return str(path)

    @property
    def settings(self) -> Settings:
        return Settings(self.environ, self.folder)

    @property
    def kernel(self) -> Kernel:
        return Kernel(environ=self.environ, folder=self.folder)


@pytest.fixture
def places(tmp_path: Path) -> Any:
    places = Places(tmp_path)
    with places.stack:
        yield places


# --- precedence ---


@pytest.mark.parametrize(("strong", "weak"), PAIRS)
def test_the_stronger_level_gives_a_plain_setting(places: Places, strong: str, weak: str) -> None:
    places.say(weak, "chunk_size", 1)
    source = places.say(strong, "chunk_size", 2)

    assert places.settings.get("chunk_size", 1) == Setting(2, source)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_alone_gives_a_plain_setting(places: Places, level: str) -> None:
    source = places.say(level, "chunk_size", 7)

    assert places.settings.get("chunk_size", 7) == Setting(7, source)


@pytest.mark.parametrize(("strong", "weak"), [*PAIRS, *(("call", weak) for weak in LEVELS)])
def test_the_stronger_level_selects_the_plugin(site: Site, places: Places, strong: str, weak: str) -> None:
    for name in ("strong", "weak"):
        site.install(f"pipe-{name}", plugin("codec", name), name)
    places.say(weak, "codec", "weak")
    asked = "strong" if strong == "call" else None
    if asked is None:
        places.say(strong, "codec", "strong")
    default = "weak" if weak == "default" else "msgpack"

    assert places.kernel.choose("codecs", asked, default=default).entry.name == "strong"


def test_pipe_toml_wins_over_pyproject_in_one_folder(places: Places) -> None:
    places.say("pyproject.toml", "chunk_size", 1)
    places.say("pipe.toml", "chunk_size", 2)

    assert places.settings.get("chunk_size").value == 2


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "pipe.toml").write_text("chunk_size = 1")
    assert Settings({}, deep).get("chunk_size").value == 1

    (tmp_path / "a" / "pyproject.toml").write_text("[tool.pipe]\nchunk_size = 2")
    assert Settings({}, deep).get("chunk_size").value == 2

    (deep / "pyproject.toml").write_text("[project]\nname = 'something-else'")
    assert Settings({}, deep).get("chunk_size").value == 2, "a project file without [tool.pipe] is none of ours"


def test_the_working_folder_is_looked_up_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings({})
    for size in (3, 4):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "pipe.toml").write_text(f"chunk_size = {size}")
        monkeypatch.chdir(folder)
        assert settings.get("chunk_size").value == size


def test_without_any_word_the_default_holds(tmp_path: Path) -> None:
    assert Settings({}, tmp_path).get("chunk_size", 100) == Setting(100, "default")
    assert Settings({}, tmp_path).get("chunk_size").value is None


def test_options_of_several_levels_add_up_for_one_plugin(site: Site, places: Places) -> None:
    options = "\n    ".join(f"{name}: int = 0" for name in "abcd")
    site.install("pipe-hello", plugin("codec", "hello", options=options), "hello")
    (places.folder / "pipe.toml").write_text('codec = {name = "hello", a = 1, b = 1, c = 1, d = 1}')
    places.environ |= {"PIPE_CODEC": "hello", "PIPE_CODEC__B": "2", "PIPE_CODEC__C": "2", "PIPE_CODEC__D": "2"}

    with using(codec=("hello", {"c": 3, "d": 3})):
        choice = places.kernel.choose("codecs", None, {"d": 4})

    assert choice.options.model_dump() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert choice.sources == {
        "a": str(places.folder / "pipe.toml"),
        "b": "PIPE_CODEC__B",
        "c": "using(...)",
        "d": "the call",
    }


def test_options_for_another_plugin_do_not_count(site: Site, places: Places) -> None:
    site.install("pipe-hello", plugin("codec", "hello", "bye"), "hello", "bye")
    (places.folder / "pipe.toml").write_text('codec = {name = "hello", size = 9}')

    assert places.kernel.choose("codecs", "bye").options.size == 1
    assert places.kernel.choose("codecs", "hello").options.size == 9


# --- the environment ---


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("chunk_size", "500", 500),
        ("max_inflight", " 8 ", 8),
        ("max_bytes_inflight", "64MiB", 64 * 2**20),
        ("hook_timeout", "1.5", 1.5),
        ("max_error_rate", "0.25", 0.25),
        ("observers", "a, b,,c", ["a", "b", "c"]),
        ("executor", "ray://head:1?x=2", "ray://head:1?x=2"),
        ("compression", "lz4", "lz4"),
    ],
)
def test_text_of_the_environment_becomes_what_the_setting_wants(name: str, text: str, value: Any) -> None:
    assert Settings({f"PIPE_{name.upper()}": text}).get(name) == Setting(value, f"PIPE_{name.upper()}")


@pytest.mark.parametrize("name", ["chunk_size", "executor", "observers"])
def test_an_empty_variable_says_nothing(name: str, tmp_path: Path) -> None:
    assert Settings({f"PIPE_{name.upper()}": ""}, tmp_path).get(name, 5) == Setting(5, "default")


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "PIPE_SOMETHING": "x",
        "PIPELINE": "y",
        "CHUNK_SIZE": "1",
        "PIPE_NO_PLUGINS": "1",
        "pipe_chunk_size": "3",
    }

    assert Settings(environ, tmp_path).get("chunk_size", 5).source == "default"


@pytest.mark.parametrize("name", sorted(set(KINDS) - set(SELECTED)))
def test_only_selections_have_options(name: str, tmp_path: Path) -> None:
    variable = f"PIPE_{name.upper()}__DEEP"

    with pytest.raises(SettingsError, match=variable):
        Settings({variable: "1"}, tmp_path).get("chunk_size")


# --- what is refused ---


def complaint(name: str, value: Any, level: str, folder: Path) -> str:
    places = Places(folder)

    def say_and_look() -> None:
        with places.stack:
            places.say(level, name, value)
            places.settings.get(name)

    with pytest.raises(SettingsError) as caught:
        say_and_look()
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


@pytest.mark.parametrize(
    ("level", "source"),
    [
        ("using(...)", "using(...)"),
        ("environment", "PIPE_CHUNK_SIZE"),
        ("pipe.toml", "{folder}/pipe.toml"),
        ("pyproject.toml", "{folder}/pyproject.toml"),
    ],
)
@pytest.mark.parametrize("value", ["many", 0, -3, 1.5], ids=str)
def test_a_wrong_value_is_told_with_its_source(level: str, source: str, value: Any, tmp_path: Path) -> None:
    text = complaint("chunk_size", value, level, tmp_path)

    shown = repr(str(value)) if level == "environment" else repr(value)
    assert text.startswith(f"The setting 'chunk_size' cannot be {shown} (from {source.format(folder=tmp_path)}): ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_error_rate", 1.01),
        ("max_error_rate", -0.1),
        ("hook_timeout", 0),
        ("max_bytes_inflight", "lots"),
        ("max_bytes_inflight", 0),
        ("observers", 5),
        ("max_errors", "x"),
        ("compression", 3),
    ],
)
def test_every_kind_of_setting_has_its_range(name: str, value: Any, tmp_path: Path) -> None:
    assert f"'{name}' cannot be {value!r}" in complaint(name, value, "using(...)", tmp_path)


@pytest.mark.parametrize("level", ["using(...)", "pipe.toml", "pyproject.toml"])
def test_an_unknown_setting_is_answered_with_the_nearest(level: str, tmp_path: Path) -> None:
    text = complaint("chunk_siz", 3, level, tmp_path)
    source = level if level == "using(...)" else str(tmp_path / level)

    assert text.startswith(f"There is no setting 'chunk_siz' (from {source}). Did you mean 'chunk_size'? Known: ")
    assert text.endswith(", ".join(sorted(KINDS)))


@pytest.mark.parametrize("name", ["pipe.toml", "pyproject.toml"])
@pytest.mark.parametrize("content", [b"chunk_size = ", b"[tool", b"\xff\xfe"], ids=str)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        Settings({}, tmp_path).get("chunk_size")
    assert str(caught.value).startswith(f"{tmp_path / name} is not valid TOML: ")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\npipe = 3", "[tool]\npipe = 'fast'", "[[tool.pipe]]"])
def test_a_project_file_of_an_odd_shape_is_refused_or_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)

    if "pipe" not in content:
        assert Settings({}, tmp_path).get("chunk_size", 4).source == "default"
    else:
        with pytest.raises(SettingsError, match=r"pyproject\.toml"):
            Settings({}, tmp_path).get("chunk_size")


# --- using ---


def value() -> Any:
    return Settings({}).get("chunk_size", 0).value


def test_blocks_nest_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = [value()]
    with using(chunk_size=1, concurrency=9):
        seen.append(value())
        with using(chunk_size=2):
            seen.append(value())
            assert Settings({}).get("concurrency").value == 9
        seen.append(value())
    seen.append(value())

    assert seen == [0, 1, 2, 1, 0]


def test_a_block_ends_when_it_is_left_by_an_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError), using(chunk_size=1):
        raise KeyError

    assert value() == 0


def test_a_block_may_be_entered_again_even_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = using(chunk_size=1)
    with block:
        with using(chunk_size=2), block:
            assert value() == 1
        assert value() == 1
    with block:
        assert value() == 1
    assert value() == 0


def test_a_function_may_be_decorated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @using(chunk_size=5)
    def decorated(depth: int) -> list[Any]:
        return [value(), *(decorated(depth - 1) if depth else [])]

    assert decorated(2) == [5, 5, 5]
    assert value() == 0


def test_a_copied_context_sees_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def inside() -> Any:
        return await asyncio.to_thread(value)

    with using(chunk_size=6), ThreadPoolExecutor(1) as pool:
        context = contextvars.copy_context()
        assert pool.submit(value).result() == 0, "a bare thread has a context of its own"
        assert pool.submit(context.run, value).result() == 6
        assert asyncio.run(inside()) == 6
    assert context.run(value) == 6
    assert value() == 0


def test_tasks_do_not_see_each_other_s_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def both() -> list[Any]:
        entered = asyncio.Barrier(2)

        async def one(size: int) -> Any:
            with using(chunk_size=size):
                await entered.wait()
                return value()

        return await asyncio.gather(one(1), one(2))

    assert asyncio.run(both()) == [1, 2]


@pytest.mark.parametrize("given", [{"chunk_siz": 1}, {"chunk_size": "x"}], ids=str)
def test_a_wrong_block_is_refused_before_it_is_entered(given: Mapping[str, Any]) -> None:
    with pytest.raises(SettingsError):
        using(**given)


# --- options, whose plugin and source are named ---


@pytest.fixture
def sized(site: Site) -> Site:
    """A site with the executor ``mine``, which has two options."""
    source = plugin("executor", "mine", options="num_cpus: int = 1\n    label: str = ''")
    site.install("pipe-mine", source, "mine", family="executors", version="2.1")
    return site


def options_error(places: Places, asked: Any = None, **options: Any) -> OptionsError:
    with pytest.raises(OptionsError) as caught:
        places.kernel.choose("executors", asked, options)
    return caught.value


SOURCES = {
    "call": "the call",
    "using(...)": "using(...)",
    "environment": "PIPE_EXECUTOR__{option}",
    "pipe.toml": "{folder}/pipe.toml",
}


@pytest.mark.parametrize("level", SOURCES)
@pytest.mark.parametrize(
    ("option", "value", "problem", "suggestion"),
    [
        ("num_cpu", "3", "there is no such option", " Did you mean 'num_cpus'?"),
        ("colour", "red", "there is no such option", ""),
        ("num_cpus", "many", "Input should be a valid integer", ""),
    ],
)
def test_a_wrong_option_is_told_with_the_plugin_and_the_place(
    sized: Site, places: Places, level: str, option: str, value: str, problem: str, suggestion: str
) -> None:
    asked: Any = None
    if level == "call":
        asked = ("mine", {option: value})
    elif level == "using(...)":
        places.stack.enter_context(using(executor={"name": "mine", option: value}))
    elif level == "environment":
        places.environ |= {"PIPE_EXECUTOR": "mine", f"PIPE_EXECUTOR__{option.upper()}": value}
    else:
        (places.folder / "pipe.toml").write_text(f'[executor]\nname = "mine"\n{option} = "{value}"')
    error = options_error(places, asked)
    source = SOURCES[level].format(option=option.upper(), folder=places.folder)

    assert str(error).startswith(f"Wrong options for the executor 'mine' (pipe-mine 2.1): {option}: {problem}")
    assert f"(from {source}).{suggestion}" in str(error)
    assert str(error).endswith(" Its options: num_cpus, label.")
    assert set(error.problems) == {option}


def test_all_problems_are_told_at_once(sized: Site, places: Places) -> None:
    places.environ["PIPE_EXECUTOR__NUM_CPUS"] = "x"

    assert set(options_error(places, "mine", colour=1, label=5).problems) == {"num_cpus", "colour", "label"}


def test_a_selection_in_one_variable_is_named_as_the_place(sized: Site, places: Places) -> None:
    places.environ["PIPE_EXECUTOR"] = "mine://?colour=red"

    assert "(from PIPE_EXECUTOR)" in str(options_error(places))


def test_the_options_are_frozen(sized: Site, places: Places) -> None:
    choice = places.kernel.choose("executors", "mine", {"num_cpus": 2})

    with pytest.raises(ValueError, match="frozen"):
        choice.options.num_cpus = 3
