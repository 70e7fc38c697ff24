"""Moves of a ledger: ``ledger_run.py TASKS ORDER MOVES``. Prints the seconds of so many moves.

They are made among so many tasks, from pending to processing and then to completed, with as many ledgers one behind
the other as are needed. ``ORDER`` is ``submission`` or ``random``: in which the tasks are moved.
"""

import random
import sys
import time

from pipe_core.runtime.ledger import Ledger, TaskStatus, Tracked


def moved(count: int, shuffled: bool, chance: random.Random) -> float:
    """Seconds of two moves of each of so many tasks."""
    ledger, tasks = Ledger(), [Tracked() for _ in range(count)]
    for task in tasks:
        ledger.add(task)
    if shuffled:
        chance.shuffle(tasks)
    move = ledger.move
    started = time.perf_counter()
    for to in (TaskStatus.PROCESSING, TaskStatus.COMPLETED):
        for task in tasks:
            move(task, to)
    seconds = time.perf_counter() - started
    if ledger.count(TaskStatus.COMPLETED) != count or list(ledger.tasks(TaskStatus.COMPLETED)) != tasks:
        raise SystemExit(f"{ledger.totals} of {count} tasks")
    return seconds


if __name__ == "__main__":
    count, order, moves = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    chance = random.Random(1)
    moved(count=100, shuffled=False, chance=chance)
    print(sum(moved(count, order == "random", chance) for _ in range(max(moves // (2 * count), 1))))
