"""Two processes by hand: ``peer_halves.py plain|floor SOURCE TARGET ERRORS``, each with half of a CSV file.

They are started together and read, validate and write as `peer_plain` or `peer_floor` does, each to two files of its
own, which nobody joins. No order holds a line end, so any line may be the first of the second half; errors count from
the first record of their half.
"""

import io
import subprocess
import sys
from pathlib import Path

import peer_floor
import peer_plain

HALVES = 2


class Half(io.RawIOBase):
    """The header of a file and the bytes from *begin* to *end*, as if they were a file."""

    def __init__(self, path: str, begin: int, end: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed with this one
        with open(path, "rb") as lines:
            self._head = lines.readline()
        self._file.seek(begin)
        self._left = end - begin

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer is one here
        """The next bytes."""
        if self._head:
            count = min(len(buffer), len(self._head))
            buffer[:count], self._head = self._head[:count], self._head[count:]
            return count
        count = self._file.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def work(kind: str, half: Half, target: str, errors: str) -> None:
    """What each of the two does."""
    if kind == "floor":
        with open(target, "wb", peer_floor.BLOCK) as good, open(errors, "wb", peer_floor.BLOCK) as bad:
            peer_floor.convert(peer_floor.csv_batches(half), good, bad)  # type: ignore[arg-type]  # reads like one
        return
    with io.TextIOWrapper(io.BufferedReader(half), encoding="utf-8", newline="") as file:
        peer_plain.convert(peer_plain.csv_records(file), target, errors)


def borders(path: str) -> list[int]:
    """Where the halves begin and end: behind the header, behind the line in the middle, and at the end."""
    with open(path, "rb") as file:
        file.readline()
        begin, size = file.tell(), Path(path).stat().st_size
        file.seek(max(begin, size // HALVES) - 1)
        file.readline()
        return [begin, file.tell(), size]


def main(kind: str, source: str, target: str, errors: str) -> int:
    """Start both, and wait for both."""
    at = borders(source)
    both = []
    for number, begin, end in zip((1, 2), at, at[1:], strict=False):
        places = [str(path.with_stem(f"{path.stem}_part_{number}")) for path in (Path(target), Path(errors))]
        command = [sys.executable, __file__, kind, source, *places, str(begin), str(end)]
        both.append(subprocess.Popen(command))
    return max(abs(process.wait()) for process in both)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        sys.exit(main(*sys.argv[1:]))
    kind, source, target, errors, begin, end = sys.argv[1:]
    work(kind, Half(source, int(begin), int(end)), target, errors)
