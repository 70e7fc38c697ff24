from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipe_core.runtime import cores as module
from pipe_core.runtime.cores import cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of sixteen cores, all of them free to use; the result is its cgroup's file, which is not there yet."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(module, "_CGROUP", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("max 100000\n", 16),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("9900000 100000\n", 16),
        ("", 16),
        ("nonsense", 16),
        ("many 100000", 16),
    ],
)
def test_the_cgroup_s_quota_counts(machine: Path, content: str, expected: int) -> None:
    machine.write_text(content)

    assert cores() == expected


def test_without_a_cgroup_all_cores_count(machine: Path) -> None:
    assert cores() == 16


def test_the_affinity_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7})
    assert cores() == 3
    machine.write_text("200000 100000\n")
    assert cores() == 2


def test_a_system_without_affinity_is_asked_for_its_cores(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 16
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
