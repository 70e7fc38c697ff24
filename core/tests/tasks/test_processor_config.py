"""What is said of a configuration that is wrong."""

from __future__ import annotations

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.tasks.processor_config import ProcessorConfig, checked_config

KEYS = ", ".join(ProcessorConfig.model_fields)


def test_a_misspelt_key_is_named_with_the_right_one() -> None:
    with pytest.raises(OptionsError) as caught:
        checked_config({"queue_capactiy": 5, "concurrency_limit": 0})
    assert str(caught.value) == (
        "Wrong processor_config: concurrency_limit: Input should be greater than or equal to 1. "
        f"queue_capactiy: there is no such key. Did you mean 'queue_capacity'? Its keys: {KEYS}."
    )
    assert set(caught.value.problems) == {"queue_capactiy", "concurrency_limit"}


def test_a_key_like_none_of_them_has_no_suggestion() -> None:
    with pytest.raises(OptionsError, match=r"zzz: there is no such key\. Its keys: "):
        checked_config({"zzz": 5})


@pytest.mark.parametrize("config", [3, "queue_capacity", [("queue_capacity", 3)]])
def test_something_else_than_a_dict_is_named(config: object) -> None:
    with pytest.raises(OptionsError, match="processor_config wants a dict, such as") as caught:
        checked_config(config)
    assert str(caught.value).endswith(f"not {config!r}.")
