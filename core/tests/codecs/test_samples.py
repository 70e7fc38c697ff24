"""The comparison by which codecs are judged."""

from __future__ import annotations

from typing import Any

import pytest

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
