from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.cli.output import public, redact, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("http://host/path?x=1", "http://host/path?x=1"),
        ("postgresql://me:pw@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p:w@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p@w@host/db", "postgresql://me:***@host/db"),
        ("https://ghp_canary@host/x", "https://***@host/x"),
        ("redis://:pw@host", "redis://:***@host"),
        ("s3://b/k?X-Amz-Security-Token=abc&y=1", "s3://b/k?X-Amz-Security-Token=***&y=1"),
        ("two: a://b:c@d and e://f:g@h.", "two: a://b:***@d and e://f:***@h."),
        ("'a://b:c@d'", "'a://b:***@d'"),
        ("http://u:pw@[::1/x", "http://***"),
        ("db://me:p/w@host/x", "db://***@host/x"),
        ("db://me:p#w@host/x", "db://***@host/x"),
        ("http://host:80/path", "http://host:80/path"),
    ],
)
def test_passwords_in_urls_are_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(
    st.text(
        alphabet=st.characters(blacklist_categories=["Cs", "Z", "C"], blacklist_characters="/?#'\"<>,\\"), min_size=1
    )
)
def test_no_password_of_any_letters_is_shown(password: str) -> None:
    assert "canary" not in redact(f"x://user:canary{password}@host/path")


def test_secrets_are_hidden_by_the_names_of_their_keys() -> None:
    value = {"token": "x", "deep": [{"Password": "y", "keys": 3}], "url": "a://b:c@d", "api_key": "", "n": 1}

    assert public(value) == {
        "token": "***",
        "deep": [{"Password": "***", "keys": 3}],
        "url": "a://b:***@d",
        "api_key": "",
        "n": 1,
    }


def test_a_table_is_aligned_with_numbers_to_the_right() -> None:
    assert table([("a", 1), ("bcd", 1000)], ("x", "n")).splitlines() == ["x        n", "a        1", "bcd  1,000"]


def test_a_table_of_nothing_is_nothing() -> None:
    assert table([]) == ""
