from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.hyperparams import LAYERS, merge_hyperparams

layers = st.fixed_dictionaries(
    {}, optional={layer: st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)) for layer in LAYERS}
)


@given(layers)
def test_the_last_layer_that_says_a_name_wins_and_is_told(said: dict[str, Any]) -> None:
    merged = merge_hyperparams(**said)

    for name in "abc":
        saying = [layer for layer in LAYERS if name in said.get(layer, {})]
        assert (name in merged.values) == bool(saying)
        if saying:
            assert merged.values[name] == said[saying[-1]][name]
            assert merged.provenance[name] == saying[-1]
            assert merged.said[name] == tuple((layer, said[layer][name]) for layer in saying)


def test_what_a_person_says_beats_the_node() -> None:
    merged = merge_hyperparams(
        defaults={"depth": 3, "rate": 0.1}, pipeline={"depth": 6}, node={"depth": 7}, explicit={"depth": None}
    )

    assert merged.values == {"depth": None, "rate": 0.1}
    assert merged.explain("depth") == "depth = None (explicit; before it: node 7, pipeline 6, defaults 3)"
    assert merged.explain("rate") == "rate = 0.1 (defaults)"


def test_values_are_replaced_whole_and_layers_stay_as_they_are() -> None:
    defaults = {"net": {"layers": 2, "width": 8}}

    merged = merge_hyperparams(defaults=defaults, node={"net": {"layers": 3}})
    merged.values["more"] = 1

    assert merged.values["net"] == {"layers": 3}
    assert defaults == {"net": {"layers": 2, "width": 8}}


@pytest.mark.parametrize(("wrong", "says"), [([1], "of type list"), ({1: 2}, "no text: 1")])
def test_a_layer_that_is_no_mapping_of_names_is_refused_by_its_name(wrong: Any, says: str) -> None:
    with pytest.raises(OptionsError, match=says) as caught:
        merge_hyperparams(node=wrong)
    assert list(caught.value.problems) == ["node"]
