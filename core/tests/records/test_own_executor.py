"""An executor that somebody gave is theirs to shut down, however it was given."""

from __future__ import annotations

import pytest

from pipe_core import Executor, Pipe, get_executor, using


@pytest.mark.parametrize("way", ["the call", "using"])
def test_a_given_executor_outlives_the_run(way: str) -> None:
    with get_executor("sync") as executor:
        if way == "the call":
            Pipe([{"n": 1}], executor=executor).run()
        else:
            with using(executor=executor):
                Pipe([{"n": 1}]).run()
        assert executor.submit(abs, -1).result() == 1


def test_an_executor_made_for_the_run_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    shutdown = Executor.shutdown

    def noted(self: Executor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        ended.append(self.name)
        shutdown(self, wait, cancel_futures=cancel_futures)

    monkeypatch.setattr(Executor, "shutdown", noted)
    Pipe([{"n": 1}], executor="sync").run()
    assert ended == ["sync"]
