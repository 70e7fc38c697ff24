from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

ORDERS = """
from os import system
from pickle import loads
import functools
import os as machine
from pydantic import BaseModel

class Order(BaseModel):
    id: int

class Item(BaseModel):
    sku: str

class Plain:
    pass

def tidy(entry, store):
    entry["raw_data"]["id"] = entry["raw_data"]["id"].strip()

class Chunky:
    def execute(self, entries, store):
        return entries

NUMBER = 3
partial = functools.partial(system, "touch canary")
bound = machine.environ.get
"""
RUNNING = frozenset(
    {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn"}
    | {"subprocess.Popen", "pickle.find_class", "shutil.rmtree", "os.remove", "os.rename"}
    | {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "ftplib.connect"}
)
"""What Python tells its auditors when something runs, is deleted or is asked of a network."""
_heard: list[str] | None = None
_hears = False


def _hear(event: str, arguments: object) -> None:
    if _heard is not None and event in RUNNING:
        _heard.append(f"{event} {arguments}")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What has run meanwhile, or was asked of a network."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which Python renames a file for, in any import
    global _heard, _hears
    if not _hears:  # an auditor stays for good
        sys.addaudithook(_hear)
        _hears = True
    _heard = []
    yield _heard
    _heard = None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a schema file and data."""
    place = tmp_path / "box"
    place.mkdir()
    (place / "orders.py").write_text(ORDERS, encoding="utf-8")
    (place / "orders.csv").write_text("id\n 1\n2\n", encoding="utf-8")
    return place


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    """Writes pipe.yaml into the folder."""

    def write(text: str) -> Path:
        path = folder / "pipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
