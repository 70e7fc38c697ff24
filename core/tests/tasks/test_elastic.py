"""How many workers are used, by a clock that is only a number."""

from __future__ import annotations

from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.tasks.elastic import PATIENCE, REST, Elastic


def test_it_grows_by_one_for_each_time_that_a_call_waits_too_long() -> None:
    elastic = Elastic(2, 4)
    assert elastic.look(10.0, 10.0) == pytest.approx(PATIENCE)
    assert elastic.most == 2
    elastic.look(10.0 + 1.01 * PATIENCE, 10.0)
    assert elastic.most == 3
    assert elastic.look(10.0 + 1.5 * PATIENCE, 10.0) == pytest.approx(0.51 * PATIENCE)
    assert elastic.most == 3, "the worker just added may be enough"
    assert elastic.look(10.0 + 2.1 * PATIENCE, 10.0) is None
    assert elastic.most == 4
    assert elastic.look(99.0, 10.0) is None
    assert elastic.most == 4


def test_it_shrinks_after_a_rest_and_not_below() -> None:
    elastic = Elastic(1, 3)
    elastic.look(1.1 * PATIENCE, 0.0)
    elastic.look(2.2 * PATIENCE, 0.0)
    assert elastic.most == 3
    now = 10.0
    assert elastic.look(now, None) == REST
    assert elastic.look(now + REST, None) == REST
    assert elastic.most == 2
    elastic.look(now + 1.5 * REST, now + 1.5 * REST)  # something came: the rest begins anew
    assert elastic.look(now + 2 * REST, None) == REST
    assert elastic.most == 2
    elastic.look(now + 3 * REST, None)
    assert elastic.most == 1
    assert elastic.look(now + 9 * REST, None) is None


@pytest.mark.parametrize("pair", [(0, 2), (3, 2), (1.0, 2), (True, 2), ("1", 2)])
def test_a_wrong_pair_is_refused(pair: Any) -> None:
    with pytest.raises(OptionsError, match="two whole numbers"):
        Elastic(*pair)
