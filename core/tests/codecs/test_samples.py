"""The comparison by which codecs are judged."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import AnyUrl, FileUrl, HttpUrl, PostgresDsn, SecretBytes, SecretStr

from pipe_core import CodecError, get_codec
from pipe_core.codecs.samples import difference


@pytest.mark.parametrize("turned", [False, True])
def test_sets_within_tuples_within_sets_are_compared_without_an_order(turned: bool) -> None:
    many = [-8, b"", "a", 2.5, None, 17, "b", b"c"]
    inner = frozenset(reversed(many) if turned else many)
    assert (
        difference({(inner, None), (frozenset({None}), None)}, {(frozenset({None}), None), (frozenset(many), None)})
        is None
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [({1}, {1.0}), ({1, 2}, {1}), ({(frozenset({1}),)}, {(frozenset({True}),)}), ([1], (1,)), (0.0, -0.0)],
)
def test_what_is_equal_but_of_another_type_differs(left: Any, right: Any) -> None:
    assert difference(left, right) is not None


URLS = [
    HttpUrl("http://example.com/a?b=c#d"),
    AnyUrl("foo:bar"),
    FileUrl("file:///etc/hosts"),
    PostgresDsn("postgresql://a:b@h1:1,h2:2/db"),
    SecretStr("s3cret"),
    SecretBytes(b"\xff\x00"),
]


@pytest.mark.parametrize("value", URLS, ids=lambda value: type(value).__name__)
def test_urls_and_secrets_of_pydantic_keep_value_and_class(value: object) -> None:
    codec = get_codec()
    back = codec.decode(codec.encode({"value": [value, value]}))["value"]
    assert back == [value, value]
    assert {type(one) for one in back} == {type(value)}


class MyUrl(HttpUrl):
    pass


def test_a_subclass_of_a_url_is_refused_and_not_flattened() -> None:
    with pytest.raises(CodecError, match="MyUrl"):
        get_codec().encode(MyUrl("http://example.com"))
