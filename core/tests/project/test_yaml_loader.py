from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.yaml_loader import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, load_yaml

Write = Callable[[str], Path]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("012", "012"),
        ("0o17", 15),
        ("0x1F", 31),
        ("0", 0),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("~", None),
        ("null", None),
        ("", None),
        ("1.2.3", "1.2.3"),
        ("'true'", "true"),
        ("ä ☃ 𝄞", "ä ☃ 𝄞"),
    ],
)
def test_words_mean_what_they_look_like(write: Write, text: str, value: object) -> None:
    found = load_yaml(write(f"key: {text}\n")).value["key"]

    assert found == value
    assert type(found) is type(value)


def test_an_empty_file_holds_nothing(write: Write) -> None:
    assert load_yaml(write("# only a comment\n")).value is None


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Write) -> None:
    assert load_yaml(write("\ufeffkey: 1")).value == {"key": 1}


def test_every_key_and_item_has_its_line(write: Write) -> None:
    document = load_yaml(write("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n"))

    assert document.line(("a",)) == 1
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "c", 1)) == 5
    assert document.line(("a", "c", 1, "d")) == 5
    assert document.line(("a", "c", 1, "no such key")) == 5


def test_an_error_names_file_line_and_key(write: Write) -> None:
    path = write("a:\n  b:\n    - 1\n")

    error = load_yaml(path).error("wrong", "a", "b", 0)

    assert str(error) == f"{path}, line 3, a.b[0]: wrong"
    assert (error.path, error.line, error.key) == (str(path), 3, "a.b[0]")


def test_anchors_and_merges_work_within_the_limits(write: Write) -> None:
    value = load_yaml(write("base: &base {x: 1, y: 2}\nother:\n  <<: *base\n  y: 3\nagain: *base\n")).value

    assert value["other"] == {"x": 1, "y": 3}
    assert value["again"] == {"x": 1, "y": 2}


def test_an_alias_may_be_merged_into_what_is_merged_again(write: Write) -> None:
    value = load_yaml(write("a: &a {x: 1}\nb: &b\n  <<: *a\n  x: 2\nc:\n  <<: *b\n  x: 3\n")).value

    assert (value["b"], value["c"]) == ({"x": 2}, {"x": 3})


@pytest.mark.parametrize(("extra", "fine"), [(0, True), (1, False)])
def test_the_number_of_aliases_is_limited(write: Write, extra: int, fine: bool) -> None:
    text = "a: &a 1\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + extra)) + "]\n"

    if fine:
        assert len(load_yaml(write(text)).value["b"]) == MAX_ALIASES
    else:
        with pytest.raises(ConfigError, match="line 2: there are more than 100 aliases"):
            load_yaml(write(text))


@pytest.mark.parametrize(("depth", "fine"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (100_000, False)])
def test_the_depth_is_limited(write: Write, depth: int, fine: bool) -> None:
    path = write("[" * depth + "]" * depth)

    if fine:
        load_yaml(path)
    else:
        with pytest.raises(ConfigError, match="nested deeper than 32"):
            load_yaml(path)


@pytest.mark.parametrize(("size", "fine"), [(MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_the_size_is_limited(write: Write, size: int, fine: bool) -> None:
    path = write("a: 1\n#".ljust(size, "x"))

    if fine:
        assert load_yaml(path).value == {"a": 1}
    else:
        with pytest.raises(ConfigError, match="larger than 1 MiB"):
            load_yaml(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\na: 2\n", 2, "the key 'a' is here twice; the first is in line 1"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "the key 'b' is here twice"),
        ("1: a\n0x1: b\n", 2, "the key '0x1' is here twice"),
        ("a: {<<: {}, <<: {}}\n", 1, "the key '<<' is here twice"),
        ("a: 1\n\tb: 2\n", 2, "Indent with spaces"),
        ("a: b: c\n", 1, "a colon where none can stand"),
        ("a: -\n", 1, "Quote it where it is a value: '-'"),
        ("a:\n  - 1\n b: 2\n", 3, "indented in another way"),
        ("a: [1, 2\nb: 3\n", 2, "not closed"),
        ("a: 'never closed\n", 2, "never closed"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: *nowhere\n", 1, "nowhere"),
        ("? [a, b]\n: 1\n", 1, "a key must be a word or a number"),
        ("a: &a [*a]\n", 1, "inside the value that it names"),
        ("a: !!str 1\n", 1, "the tag 'tag:yaml.org,2002:str' is not allowed"),
        ("a: \x00\n", 1, "is not allowed in YAML"),
        ("a: 1\nb: \x07\n", 2, "is not allowed in YAML"),
        ("a: 1\njust words\n", 3, "without a ':'"),
    ],
)
def test_a_mistake_is_told_in_plain_words_with_its_line(write: Write, text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(write(text))

    assert words in str(caught.value)
    assert caught.value.line == line


def test_bytes_that_are_not_utf8_are_refused(folder: Path) -> None:
    path = folder / "x.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")

    with pytest.raises(ConfigError, match="line 2: this is not UTF-8 text"):
        load_yaml(path)


@pytest.mark.parametrize("name", ["nope.yaml", "", "nul\0.yaml"])
def test_a_file_that_is_none_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        load_yaml(folder / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_instead_of_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "fifo.yaml")

    with pytest.raises(ConfigError, match="this is no file"):
        load_yaml(folder / "fifo.yaml")


def test_a_file_that_stands_for_billions_of_values_is_refused_at_once(write: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    began = time.monotonic()

    with pytest.raises(ConfigError, match="stands for more than 50000 values"):
        load_yaml(write("\n".join(lines)))
    assert time.monotonic() - began < 20


def test_merges_that_multiply_are_refused_at_once(write: Write) -> None:
    lines = ["a0: &a0 {k: 1, l: 2}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 10)]

    with pytest.raises(ConfigError, match="stands for more than"):
        load_yaml(write("\n".join(lines)))


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**50), 10**50) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


class Quoting(yaml.SafeDumper):
    """Quotes all text: a dumper of YAML 1.1 leaves text bare that is a number in 1.2, such as 0E0."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({"0E0": None})
@given(_plain)
def test_plain_data_that_was_dumped_comes_back(write: Write, value: Any) -> None:
    text = yaml.dump({"value": value}, Dumper=Quoting)  # escapes what is not ASCII

    assert load_yaml(write(text)).value == {"value": value}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from("ab01:-[]{}&*!?|>'\"%@#,<~ \n\t\\."), max_size=60))
def test_any_text_is_data_or_a_config_error(write: Write, text: str) -> None:
    with contextlib.suppress(ConfigError):  # nothing else is ever raised
        load_yaml(write(text))


@pytest.mark.parametrize(
    "text", ["!" + "x" * 90_000, "a" * 90_000 + ": 1\n" + "a" * 90_000 + ": 2\n", "- &a *" + "b" * 90_000]
)
def test_an_error_is_no_longer_than_a_person_reads(write: Write, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(write(text))

    assert len(str(caught.value)) < 1500
    assert "line " in str(caught.value)
