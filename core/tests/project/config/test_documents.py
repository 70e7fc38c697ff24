"""Documents in every language, whatever is in them."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.config.documents import read_document
from pipe_core.project.config.interpolation import MAX_LENGTH, Interpolation, InterpolationError
from pipe_core.project.document import Place

Write = Callable[..., Path]

_plain = st.recursive(
    st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_check = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _leaves(value: Any, place: Place = ()) -> list[Place]:
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in ((*place, key), *_leaves(inner, (*place, key)))]
    if isinstance(value, list):
        return [one for i, inner in enumerate(value) for one in ((*place, i), *_leaves(inner, (*place, i)))]
    return []


@_check
@given(st.dictionaries(st.text(), _plain, max_size=5), st.sampled_from([None, 0, 2]))
def test_json_comes_back_with_the_line_of_everything(folder: Path, value: Any, indent: int | None) -> None:
    path = folder / "x.json"
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")

    document = read_document(path)
    assert document.value == value
    assert set(document.lines) == {(), *_leaves(value)}
    lines = path.read_text("utf-8").splitlines()
    for place, line in document.lines.items():
        if place and isinstance(place[-1], str) and indent is not None:
            assert lines[line - 1].lstrip().startswith(json.dumps(place[-1]))


@_check
@given(st.text(alphabet=st.sampled_from("ab01:-[]{}\"'\\,\n\t .=#x$"), max_size=60))
def test_any_text_is_data_or_a_config_error(folder: Path, text: str) -> None:
    for name in ("x.json", "x.toml", "x.yaml"):
        (folder / name).write_text(text, encoding="utf-8")
        with contextlib.suppress(ConfigError):  # nothing else is ever raised
            read_document(folder / name)


_key = st.from_regex(r"[a-z_-]{1,3}", fullmatch=True) | st.sampled_from(['"a b"', "'c.d'", '"\\u00e9"'])
_values = [
    "1",
    "true",
    "2025-01-01",
    "1979-05-27 07:32:00",
    '"x # y"',
    "'[z]'",
    '"""a\n[b]\n\\""" c"""',
    "'''\nd = 1'''",
]
_nested = ["[]", "[1, 2,\n 3, # ]\n]", '["]", [\n"}"]]', "{}", "{ k = 1, l.m = '}' }", '[{ q = "," }, { q = 2 }]']
_value = st.sampled_from([*_values, *_nested, '""""x"""'])
_statement = st.tuples(_key, _value).map(lambda pair: f"{pair[0]} = {pair[1]}")
_table = st.lists(_key, min_size=1, max_size=3).map(lambda keys: f"[{'.'.join(keys)}]")
_tables = st.lists(_key, min_size=1, max_size=2).map(lambda keys: f"[[ {' . '.join(keys)} ]]  # more")


@settings(_check, max_examples=200)
@given(st.lists(_statement | _table | _tables | st.sampled_from(["", "# a = 1", "   "]), max_size=10))
def test_toml_has_a_line_for_everything(folder: Path, statements: list[str]) -> None:
    text = "\n".join(statements)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path = folder / "x.toml"
    path.write_text(text, encoding="utf-8")

    document = read_document(path)
    assert {(), *_leaves(value)} == set(document.lines)
    lines = text.split("\n")
    for place, line in document.lines.items():
        if place and isinstance(place[-1], str):
            bare = [part.strip() for part in lines[line - 1].replace("'", '"').replace("\\u00e9", "é").split('"')]
            assert place[-1] in " ".join(bare)


@_check
@given(st.text(alphabet=st.sampled_from("${}:-abA_ secrt\\"), max_size=40))
def test_any_text_has_a_value_or_an_error_of_its_own(text: str) -> None:
    names = Interpolation({"a": "${b}", "b": "x", "A": "$${"}, {"_": "env"})
    with contextlib.suppress(InterpolationError):
        assert len(str(names.text(text))) <= MAX_LENGTH


@pytest.mark.parametrize("name", ["x.toml", "x.json", "x.yaml"])
@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file_says_nothing(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")

    assert read_document(folder / name).value is None
