"""Everything that README.md and the manual show is done, and what they say comes of it is compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import RUN, SHOWN, blocks
from run_page import LEFT_OUT

NOT_RUN = 4
"""How many blocks may be left out. Each says why, in a comment before it."""

ELSEWHERE = {"benchmarks.md": "its two commands run the benchmarks, which takes minutes: `tox -e bench` does"}

WARNINGS = "error,ignore::DeprecationWarning:multiprocessing.popen_fork"
"""From Python 3.12 on, forking is warned of in a process with threads. The reader of a page uses Python's own pools."""


def environment(folder: Path) -> dict[str, str]:
    """That of the tests, with the commands of this Python first and nothing that changes what a reader would see."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIPE_", "DASK_", "RAY_"))}
    kept["RAY_AUTH_TOKEN_PATH"] = str(folder / "none")  # whoever runs the tests may have a token
    scripts = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {**kept, "PATH": scripts, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONWARNINGS": WARNINGS}


def test_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    if page.name in ELSEWHERE:
        pytest.skip(ELSEWHERE[page.name])
    if not any(block.language in RUN for block in blocks(page)):
        pytest.skip("it shows no code")
    runner = Path(__file__).with_name("run_page.py")
    done = subprocess.run(
        [sys.executable, str(runner), str(page)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout
    left_out = [line for line in done.stdout.splitlines() if line.startswith(LEFT_OUT)]
    if left_out:
        pytest.skip("; ".join(left_out))


def test_blocks_need_plugins_of_this_repository(page: Path, root: Path) -> None:
    known = {path.name for path in (root / "plugins").iterdir()}
    assert {name for block in blocks(page) for name in block.needs} - known == set()


def test_languages_are_known(page: Path) -> None:
    odd = [
        f"{page.name}:{block.line} {block.language!r}" for block in blocks(page) if block.language not in RUN | SHOWN
    ]
    assert odd == []


def test_blocks_that_are_only_shown_say_why(page: Path) -> None:
    shown = [block for block in blocks(page) if block.language == "sh" and block.not_run is None]
    assert [f"{page.name}:{block.line}" for block in shown] == []


def test_few_blocks_are_not_run(manual: list[Path]) -> None:
    left_out = [
        f"{block.page}:{block.line} {block.not_run}" for page in manual for block in blocks(page) if block.not_run
    ]
    assert len(left_out) <= NOT_RUN, left_out
