from __future__ import annotations

import subprocess
import sys

import pytest

from pipe_core.kernel.kernel import Kernel
from pipe_core.observers.log import LogObserver
from pipe_core.observers.plugin import pipe_observer
from pipe_core.observers.progress import ProgressObserver


@pytest.mark.parametrize(("name", "kind"), [("progress", ProgressObserver), ("log", LogObserver)])
def test_an_observer_is_found_by_its_name(name: str, kind: type) -> None:
    assert isinstance(Kernel().make("observers", name, {}), kind)


def test_other_names_belong_to_others() -> None:
    assert pipe_observer("bell") is None


def test_describing_an_observer_does_not_import_it() -> None:
    program = (
        "import sys\n"
        "from pipe_core.observers.plugin import pipe_observer\n"
        "assert pipe_observer('progress').summary and pipe_observer('log').summary\n"
        "heavy = {'rich', 'pipe_core.records', 'pipe_core.observers.log', 'pipe_core.observers.progress'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_observers_hear_only_what_they_use() -> None:
    observers = Kernel().observers(["progress", "log"])

    assert observers.hears("pipe_run_progress")
    assert observers.hears("pipe_entry_failed")
    assert not observers.hears("pipe_task_submitted")
    assert not observers.hears("pipe_task_finished")
