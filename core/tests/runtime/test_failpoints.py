from __future__ import annotations

import errno
import signal
import subprocess
import sys

import pytest

from pipe_core.kernel.errors import SettingsError
from pipe_core.runtime import failpoints
from pipe_core.runtime.failpoints import ACTIONS, NAMES, failpoint, parse

PROGRAM = """
from pipe_core.runtime.failpoints import failpoint
for n in range(5):
    print(n, flush=True)
    failpoint("commit.after")
"""


def test_nothing_fails_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPE_FAILPOINTS", raising=False)
    monkeypatch.setattr(failpoints, "_armed", None)
    for name in NAMES:
        failpoint(name)
    assert failpoints._armed == {}


@pytest.mark.parametrize(("action", "number"), [("full", errno.ENOSPC), ("error", errno.EIO)])
def test_errors_are_raised_at_the_time_asked_for(action: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", parse(f" commit.after={action}@2 ; run.ended={action}@2+; "))
    failpoint("commit.after")
    failpoint("run.ended")
    with pytest.raises(OSError, match=r"<commit\.after>") as caught:
        failpoint("commit.after")
    failpoint("commit.after")
    for _ in range(3):
        with pytest.raises(OSError, match=r"<run\.ended>"):
            failpoint("run.ended")
    failpoint("sink.commit.before")

    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("commit.after", "has 'commit.after'. Write place=what@time"),
        ("commit.after=boom", f"with one of {', '.join(ACTIONS)}"),
        ("commit.after=kill@0", "Write place=what@time"),
        ("commit.afer=kill", "no place 'commit.afer'. Did you mean 'commit.after'?"),
    ],
)
def test_what_cannot_be_understood_is_refused(asked: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(asked)
    assert said in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("action", "code"), [("kill", -signal.SIGKILL), ("exit", 70)])
def test_a_process_ends_at_the_time_asked_for(action: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PIPE_FAILPOINTS": f"commit.after={action}@3"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code
    assert done.stdout.split() == ["0", "1", "2"]


def test_a_process_hangs_until_it_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={"PIPE_FAILPOINTS": "commit.after=hang"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.kill()
        assert process.stdout.read() == ""
