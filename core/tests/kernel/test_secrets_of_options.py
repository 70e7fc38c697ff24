"""What is wrong with options is told without what they hold, and so are URLs."""

from __future__ import annotations

import pytest

from pipe_core import Engine, OptionsError, get_executor
from pipe_core.kernel.urls import redacted
from pipe_core.looks.redaction import public

CANARY = "c4nary"


def test_an_error_about_options_holds_none_of_them() -> None:
    with pytest.raises(OptionsError, match="no such option") as caught:
        get_executor("sync", token=CANARY)

    held = caught.value.__cause__, caught.value.__context__, vars(caught.value), caught.value.args
    assert held[:2] == (None, None)
    assert CANARY not in repr(held)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"simplecache::http://me:{CANARY}@h/a.csv?key={CANARY}", "simplecache::http://***@h/a.csv?***"),
        (f"zip::simplecache::http://me:{CANARY}@h/a.csv", "zip::simplecache::http://***@h/a.csv"),
        (f"zip://a.csv::http://me:{CANARY}@h/a.zip", "zip://***@h/a.zip"),
        ("a::b.csv", "a::b.csv"),
        ("::" * 5000, "::" * 5000),
    ],
)
def test_a_url_behind_another_one_is_shown_without_its_secrets(target: str, shown: str) -> None:
    assert redacted(target) == shown


def test_an_engine_shows_where_it_runs_without_secrets() -> None:
    engine = Engine(("ray", {"address": f"ray://me:{CANARY}@h:1", "token": CANARY}), f"dask://h?token={CANARY}")

    shown = "Engine(node_executor=('ray', {'address': 'ray://me:***@h:1', 'token': '***'}), "
    assert repr(engine) == f"{shown}map_executor='dask://h?token=***')"


def test_what_is_shown_has_the_types_that_it_had() -> None:
    assert public(("a", [{"token": "x"}])) == ("a", [{"token": "***"}])
