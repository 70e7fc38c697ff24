"""Databases to test against: SQLite files, and a PostgreSQL server that is started for the session."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "c4nary/p@ss"
"""Must never be seen in anything that a test looks at."""
SECONDS = 50


class Sqlite:
    """A SQLite file."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        with contextlib.closing(sqlite3.connect(path)):
            pass

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, and give the rows of the last one."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows

    def fill(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert many rows."""
        marks = ", ".join("?" for _ in rows[0])
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


class Postgres:
    """A database of the server, dropped behind the test."""

    dialect = "postgresql"

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.url = server.url(name)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, and give the rows of the last one."""
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.server.conninfo(self.name)) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def fill(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert many rows."""
        import psycopg

        marks = ", ".join("%s" for _ in rows[0])
        with psycopg.connect(self.server.conninfo(self.name)) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


Database = Sqlite | Postgres


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        return (
            f"postgresql://tester:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{self.port}/{database}"
        )

    def conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=tester password='{PASSWORD}' dbname={database}"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2].zfill(4))
    on_path = shutil.which("initdb")
    folders = [*([Path(on_path).parent] if on_path else []), *reversed(found)]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")


def _as_postgres(folder: Path) -> list[str]:
    """What stands before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.name == "nt" or os.geteuid() != 0:
        return []
    import pwd

    user = next((one for one in ("postgres", "nobody") if _known(pwd, one)), None)
    setpriv = shutil.which("setpriv")
    if user is None or setpriv is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user to run it as")
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return [setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def _known(pwd: Any, name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _call(*command: str | Path, log: Path | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if log is None else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if log is None else subprocess.DEVNULL,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        text = done.stdout if log is None else (log.read_text("utf-8", "replace") if log.exists() else "")
        raise RuntimeError(f"{command} ended with {done.returncode}: {text}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of its own, stopped at the end; skips where there is none to start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'pipe-sql[postgresql]'")
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pipe-sql-"))
    try:
        before = _as_postgres(folder)
        folder.chmod(0o711)
        data, log, secret = folder / "data", folder / "log", folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        _call(
            *before, binaries / "initdb", "--pgdata", data, "--username", "tester", "--pwfile", secret,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        port = _free_port()
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c fsync=off -c unix_socket_directories={folder}"
        _call(*before, binaries / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "40", "start", log=log)
        try:
            yield Server(folder, port)
        finally:
            _call(*before, binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "-t", "40", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_numbers = iter(range(1_000_000))


@pytest.fixture
def postgres(server: Server) -> Iterator[Postgres]:
    """An empty database."""
    import psycopg

    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield Postgres(server, name)
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite(tmp_path: Path) -> Sqlite:
    """An empty file."""
    return Sqlite(tmp_path / "shop.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database of each kind."""
    found: Database = request.getfixturevalue("sqlite" if request.param == "sqlite" else "postgres")
    return found
