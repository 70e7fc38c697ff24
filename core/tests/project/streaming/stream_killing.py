"""Runs `killed_stream.py` and kills it, until all has come through."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("killed_stream.py")


def write(folder: Path, first: int, last: int) -> None:
    """Let the log grow by lines of nine bytes, the last one half at first."""
    with (folder / "log.jsonl").open("a") as file:
        for n in range(first, last):
            file.write(f'{{"n":{n:2}')
            file.flush()
            file.write("}\n")


def stream_with_kills(folder: Path, sink: dict[str, Any], kills: int, chance: random.Random, longest: float) -> int:
    """Stream ninety records into *sink*, of which more come after each kill. How many kills there were."""
    done = 0
    count = 10
    write(folder, 10, 10 + count)
    while True:
        delay = chance.uniform(0.01, longest) if done < kills else 0
        command = [sys.executable, str(PROGRAM), str(folder), json.dumps(sink), str(count), str(delay)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
        if ended.returncode == 0 and count == 90:
            return done
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        done += ended.returncode != 0
        more = min(90 - count, 10 if done < kills else 90)
        write(folder, 10 + count, 10 + count + more)
        count += more


EXPECTED = list(range(10, 100))
