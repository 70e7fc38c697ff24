"""Code of events that fails so many times, and how it is tried again."""

from __future__ import annotations

from pipe_core import Retry

SOON = Retry(3, delay=0.001)
LATER = Retry(1, delay=0.2, jitter=0.0)


class Flaky:
    """Fails so many times, and answers then."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.left, self.error, self.runs = failures, error, 0

    def __call__(self) -> str:
        self.runs += 1
        if self.runs <= self.left:
            raise self.error or ConnectionError(f"no {self.runs}")
        return f"after {self.runs}"
