"""Maps with a disk cache: ``caching_run.py twice|twins FOLDER ITEMS``. Prints JSON."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipe_core import DiskCache, Engine, Pipeline, node


@node(output_name="square")
def squared(number: int, calls: str) -> int:
    """Waits, and says that it was called."""
    time.sleep(0.001)
    if calls:
        with open(calls, "a") as file:
            file.write(f"{number}\n")
    return number * number


def run(cache: Path | None, items: int, calls: str = "") -> float:
    """Seconds of one map by an engine and a cache of its own."""
    pipeline = Pipeline([squared], cache=None if cache is None else DiskCache(cache)).bind(calls=calls)
    with Engine("sync") as engine:
        started = time.perf_counter()
        found = pipeline.map({"number": range(items)}, "number", engine=engine)["square"]
        seconds = time.perf_counter() - started
    if found != [number * number for number in range(items)]:
        raise SystemExit("wrong results")
    return seconds


def twins(place: Path, items: int) -> dict[str, float]:
    """Two processes at once, over the same items."""
    calls = str(place / "calls")
    begin = time.time() + 2
    command = [sys.executable, __file__, "twin", str(place), str(items), str(begin)]
    started = [subprocess.Popen(command) for _ in range(2)]
    if any(one.wait(600) for one in started):
        raise SystemExit("one of the two has failed")
    return {"computed": len(Path(calls).read_text().splitlines()), "seconds": time.time() - begin}


def main() -> None:
    """As the arguments say."""
    how, folder, items = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if how == "twin":
        time.sleep(max(0.0, float(sys.argv[4]) - time.time()))
        run(folder / "cache", items, str(folder / "calls"))
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        cache = Path(place)
        if how == "twins":
            print(json.dumps(twins(cache, items)))
        else:
            runs = {"plain": None, "first": cache / "cache", "second": cache / "cache"}
            print(json.dumps({name: run(path, items) for name, path in runs.items()}))


if __name__ == "__main__":
    main()
