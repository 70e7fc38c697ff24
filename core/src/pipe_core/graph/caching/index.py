"""The index of a cache on disk: which results there are, when they were made and used, and who is making which.

An SQLite database, so that processes and threads share it: readers are never kept waiting, and writers one after the
other. Each thread has a connection of its own. Nothing waits for the disk: what the machine had not written when the
power went is not whole, and so counts as never written.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Final

_BUSY_SECONDS: Final = 60.0
_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS entries (
        signature TEXT PRIMARY KEY, node TEXT, parts TEXT, made REAL NOT NULL, used REAL NOT NULL,
        size INTEGER NOT NULL, file TEXT, data BLOB)""",
    "CREATE INDEX IF NOT EXISTS by_use ON entries (used)",
    "CREATE INDEX IF NOT EXISTS by_node ON entries (node, made)",
    "CREATE INDEX IF NOT EXISTS by_age ON entries (made)",
    "CREATE INDEX IF NOT EXISTS by_file ON entries (file) WHERE file IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS claims (
        signature TEXT PRIMARY KEY, host TEXT NOT NULL, process INTEGER NOT NULL, began REAL NOT NULL,
        until REAL NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS total (size INTEGER NOT NULL)",
    "INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total)",
    "CREATE TRIGGER IF NOT EXISTS comes AFTER INSERT ON entries BEGIN UPDATE total SET size = size + new.size; END",
    "CREATE TRIGGER IF NOT EXISTS goes AFTER DELETE ON entries BEGIN UPDATE total SET size = size - old.size; END",
    """CREATE TRIGGER IF NOT EXISTS changes AFTER UPDATE OF size ON entries
        BEGIN UPDATE total SET size = size + new.size - old.size; END""",
)
_KEEP: Final = """
    INSERT INTO entries (signature, node, parts, made, used, size, file, data)
    VALUES (:signature, :node, :parts, :made, :made, :size, :file, :data)
    ON CONFLICT (signature) DO UPDATE SET node = :node, parts = :parts, made = :made, used = :made, size = :size,
        file = :file, data = :data"""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry: in the index itself, or in a file.

    Attributes:
        made: When, in seconds since 1970.
        file: Its name; None where the index has the bytes.
        data: The bytes; None where a file has them.
    """

    made: float
    file: str | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is making a result.

    Attributes:
        host: The machine.
        process: Its process.
        began: When that was started, in seconds since 1970: numbers of processes are used again.
        until: When the claim is over, whatever happens.
    """

    host: str
    process: int
    began: float
    until: float


class _Connection:
    """One thread's. It is closed when the thread is gone."""

    def __init__(self, use: sqlite3.Connection) -> None:
        self.process = os.getpid()
        self.use = use

    def close(self) -> None:
        if self.process == os.getpid():
            self.use.close()
        else:
            _inherited.append(self.use)  # a fork's copy: closing it would break the locks of the process it is of

    __del__ = close


_inherited: list[sqlite3.Connection] = []


class CacheIndex:
    """The index in the file *path*. May be used by several threads and processes at once.

    Raises:
        sqlite3.Error: From every method: the file is no index, is damaged, or cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mine = threading.local()

    def find(self, signature: str) -> Row | None:
        """The entry under *signature*."""
        row = self._use.execute("SELECT made, file, data FROM entries WHERE signature = ?", (signature,)).fetchone()
        return row and Row(*row)

    def has(self, signature: str, since: float) -> bool:
        """Whether there is an entry under *signature* that was made after *since*."""
        query = "SELECT 1 FROM entries WHERE signature = ? AND made >= ?"
        return self._use.execute(query, (signature, since)).fetchone() is not None

    def keep(self, entry: Mapping[str, Any], uses: Mapping[str, float]) -> tuple[str | None, int]:
        """Put an entry in, and give up the claim on it. Gives the file that it had before, and the size of all."""
        with self._writing() as use:
            old = use.execute("SELECT file FROM entries WHERE signature = ?", (entry["signature"],)).fetchone()
            use.execute(_KEEP, entry)
            use.execute("DELETE FROM claims WHERE signature = ?", (entry["signature"],))
            _note_uses(use, uses)
            (size,) = use.execute("SELECT size FROM total").fetchone()
        return old and old[0], size

    def note_uses(self, uses: Mapping[str, float]) -> None:
        """Note when entries were used."""
        with self._writing() as use:
            _note_uses(use, uses)

    def remove(self, signature: str, row: Row | None = None) -> list[str]:
        """Take out the entry under *signature*, if it is still *row*. Gives the files that are not needed any more."""
        with self._writing() as use:
            if row is None:
                return _take_out(use, "signature = ?", (signature,))
            return _take_out(use, "signature = ? AND made = ? AND file IS ?", (signature, row.made, row.file))

    def shrink(self, max_bytes: int | None, since: float) -> list[str]:
        """Take out what was made before *since*, and then what was used longest ago, until *max_bytes* are left.

        Gives the files that are not needed any more.
        """
        with self._writing() as use:
            gone = _take_out(use, "made < ?", (since,))
            while max_bytes is not None:
                (size,) = use.execute("SELECT size FROM total").fetchone()
                if size <= max_bytes:
                    break
                last = []
                for signature, each in use.execute("SELECT signature, size FROM entries ORDER BY used LIMIT 100"):
                    last.append(signature)
                    size -= each
                    if size <= max_bytes:
                        break
                gone += _take_out(use, f"signature IN ({','.join('?' * len(last))})", last)
        return gone

    def clear(self) -> list[str]:
        """Take out everything. Gives the files that are not needed any more."""
        with self._writing() as use:
            use.execute("DELETE FROM claims")
            return _take_out(use, "TRUE", ())

    def totals(self) -> tuple[int, int]:
        """How many entries there are, and of how many bytes."""
        count, size = self._use.execute("SELECT count(*), (SELECT size FROM total) FROM entries").fetchone()
        return count, size

    def parts(self, node: str, most: int) -> list[str]:
        """What the latest results of a node were made of, as they were given."""
        query = "SELECT parts FROM entries WHERE node = ? ORDER BY made DESC LIMIT ?"
        return [parts for (parts,) in self._use.execute(query, (node, most))]

    def unknown(self, files: Iterable[str]) -> list[str]:
        """Those of *files* that no entry has."""
        query = "SELECT 1 FROM entries WHERE file = ?"
        return [file for file in files if self._use.execute(query, (file,)).fetchone() is None]

    # --- claims ---

    def claim_on(self, signature: str) -> Claim | None:
        """Who is making the result under *signature*."""
        query = "SELECT host, process, began, until FROM claims WHERE signature = ?"
        row = self._use.execute(query, (signature,)).fetchone()
        return row and Claim(*row)

    def claim(self, signature: str, claim: Claim, instead: Claim | None) -> bool:
        """Note a claim, if the one that there is is *instead*. Says whether."""
        with self._writing():
            if self.claim_on(signature) != instead:
                return False
            values = (signature, claim.host, claim.process, claim.began, claim.until)
            self._use.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", values)
        return True

    def release(self, signature: str, host: str, process: int) -> None:
        """Give up a claim, if it is of this process."""
        query = "DELETE FROM claims WHERE signature = ? AND host = ? AND process = ?"
        self._use.execute(query, (signature, host, process))

    # --- connections ---

    @property
    def _use(self) -> sqlite3.Connection:
        mine: _Connection | None = getattr(self._mine, "connection", None)
        if mine is None or mine.process != os.getpid():
            mine = self._mine.connection = _Connection(_connected(self._path))
        return mine.use

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        use = self._use
        use.execute("BEGIN IMMEDIATE")
        try:
            yield use
        except BaseException:
            use.execute("ROLLBACK")
            raise
        use.execute("COMMIT")

    def close(self) -> None:
        """Close the connections. The next use opens one again."""
        self._mine = threading.local()


def _connected(path: str) -> sqlite3.Connection:
    until = monotonic() + _BUSY_SECONDS
    while True:
        use = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            use.execute("PRAGMA journal_mode = WAL")
            use.execute("PRAGMA synchronous = NORMAL")
            if not use.execute("SELECT 1 FROM sqlite_master WHERE name = 'changes'").fetchone():
                use.execute("BEGIN IMMEDIATE")
                for statement in _TABLES:
                    use.execute(statement)
                use.execute("COMMIT")
            return use
        except sqlite3.OperationalError as error:
            use.close()
            # Two that open a new database at the same time are not kept waiting, but refused.
            if "locked" not in str(error) or monotonic() > until:
                raise
            sleep(0.01)
        except BaseException:
            use.close()
            raise


def _note_uses(use: sqlite3.Connection, uses: Mapping[str, float]) -> None:
    if uses:
        rows = [(at, signature) for signature, at in uses.items()]
        use.executemany("UPDATE entries SET used = max(used, ?) WHERE signature = ?", rows)


def _take_out(use: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[str]:
    """Gives the files that the entries had. *where* is written in this module."""
    rows = use.execute(f"SELECT file FROM entries WHERE {where} AND file IS NOT NULL", values).fetchall()
    use.execute(f"DELETE FROM entries WHERE {where}", values)
    return [file for (file,) in rows]
