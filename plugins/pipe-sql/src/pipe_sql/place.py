"""Places: which database, how to get there, and what to call it without its password."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import ValidationError
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from pipe_core import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_sql.failures import FAILURES, DatabaseError, understood
from pipe_sql.options import SqlOptions
from pipe_sql.sqlite_dates import teach_dates

Dialect = Literal["sqlite", "postgresql"]

_DRIVERS: Final[dict[str, tuple[Dialect, str]]] = {
    "sqlite": ("sqlite", "sqlite"),
    "sqlite+pysqlite": ("sqlite", "sqlite"),
    "postgresql": ("postgresql", "postgresql+psycopg"),
    "postgresql+psycopg": ("postgresql", "postgresql+psycopg"),
    "postgres": ("postgresql", "postgresql+psycopg"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """A database. Plain data, because it travels to the workers; shown by its name only.

    Attributes:
        url: The URL as SQLAlchemy wants it, password included.
        name: What reports call it.
        dialect: Whose SQL it speaks.
        path: The absolute path of a SQLite file.
        timeout: Seconds to wait for a connection or a lock.
    """

    url: str
    name: str
    dialect: Dialect
    path: str | None
    timeout: float

    def __repr__(self) -> str:
        return f"<database {self.name}>"

    @property
    def mark(self) -> str:
        """What stands for a parameter in a statement."""
        return "?" if self.dialect == "sqlite" else "%s"

    def connect(self) -> Connection:
        """A connection. The caller closes it.

        Raises:
            DatabaseError: The database is not there, or does not answer, or refuses.
        """
        if self.path is not None:
            self._check_file(self.path)
        try:
            return _engine(self).connect()
        except ModuleNotFoundError as error:
            raise DatabaseError(
                f"the driver '{error.name}' is not installed. pip install 'pipe-sql[{self.dialect}]'"
            ) from None
        except FAILURES as error:
            raise self.understood(error) from None

    def understood(self, error: Exception) -> DatabaseError:
        """The error of the driver, without what is secret in the URL."""
        return understood(error, _secrets(make_url(self.url)))

    def quoted(self, name: str, schema: str | None = None) -> str:
        """A name as it stands in a statement: both dialects quote alike."""
        parts = [part.replace('"', '""') for part in (schema, name) if part is not None]
        text = ".".join(f'"{part}"' for part in parts)
        return text if self.dialect == "sqlite" else text.replace("%", "%%")

    def _check_file(self, path: str) -> None:
        if os.path.isdir(path):
            raise DatabaseError("it is a folder. Name a file in it")
        if not os.path.exists(path):
            raise DatabaseError("there is no such file. Is the path right, and the working folder?", missing=True)


@lru_cache(maxsize=16)
def _engine(place: Place) -> Engine:
    """The engine of a place: what is learnt of a server at the first connection is kept, connections are not."""
    if place.path is not None:
        path, timeout = place.path, place.timeout
        return create_engine(
            "sqlite://", creator=lambda: open_sqlite(path, timeout), poolclass=NullPool, hide_parameters=True
        )
    url = make_url(place.url)
    arguments: dict[str, Any] = {}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = max(2, round(place.timeout))
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def open_sqlite(path: str, timeout: float) -> sqlite3.Connection:
    """A connection to a file that exists. Transactions begin when it is told to begin one."""
    uri = f"file:{quote(path)}?mode=rw"
    return teach_dates(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False))


def parse(target: Any, options: SqlOptions) -> tuple[Place, SqlOptions]:
    """The database that *target* names, and the options with those of its URL.

    Raises:
        OptionsError: It is no URL or path of a database, or an option is wrong or said twice.
    """
    try:
        text = os.fsdecode(target)
    except TypeError:
        kind = type(target).__name__
        raise OptionsError(f"The format 'sql' takes a URL or a path, not {kind}.", problems={"target": kind}) from None
    if "\0" in text:
        raise OptionsError("A path or URL cannot hold NUL.", problems={"target": "has a NUL character"})
    if "://" not in text:
        return _sqlite(text, text, options.timeout), options
    url = _url(text)
    dialect, driver = _DRIVERS[url.drivername]
    options, url = _apart(url, options)
    if dialect == "postgresql":
        plain = URL.create(dialect, url.username, None, url.host, url.port, url.database)
        name = plain.render_as_string()
        full = url.set(drivername=driver).render_as_string(hide_password=False)
        return Place(full, name, dialect, None, options.timeout), options
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise OptionsError(
            "A SQLite database must be a file, because every worker opens it: sqlite:///path/to.db. "
            "(Three slashes for a relative path, four for an absolute one.)",
            problems={"target": "names no file"},
        )
    return _sqlite(url.database, f"sqlite:///{url.database}", options.timeout), options


def _sqlite(path: str, name: str, timeout: float) -> Place:
    return Place("sqlite://", name, "sqlite", os.path.abspath(path), timeout)


def _url(text: str) -> URL:
    scheme = text.partition("://")[0]
    if scheme not in _DRIVERS:
        known = ", ".join(sorted(_DRIVERS))
        raise OptionsError(
            f"The format 'sql' knows no '{scheme}://'. It reads and writes {known}.{suggestion(scheme, _DRIVERS)}",
            problems={"target": f"has the scheme {scheme}"},
        )
    try:
        return make_url(text)
    except (ArgumentError, NoSuchModuleError, ValueError):  # their messages repeat the URL, with its password
        raise OptionsError(
            f"The {scheme} URL cannot be understood. It looks like {scheme}://user:password@host:5432/database; "
            f"special characters in a password are written as %40 for '@', %3A for ':', %2F for '/'.",
            problems={"target": "is no URL"},
        ) from None


def _apart(url: URL, options: SqlOptions) -> tuple[SqlOptions, URL]:
    """The options that are in the URL; what is not ours is the driver's."""
    given = options.model_dump(exclude_unset=True)
    ours = {name: value for name, value in url.query.items() if name in SqlOptions.model_fields}
    for name, value in ours.items():
        if name in given or not isinstance(value, str):
            text = f"The option '{name}' is given twice. Say it once: in the URL, or beside it."
            raise OptionsError(text, problems={name: "is given twice"})
    rest = url.difference_update_query(ours)
    if rest.query and url.drivername.startswith("sqlite"):
        name = next(iter(rest.query))
        raise OptionsError(
            f"There is no option '{name}' of the format 'sql'.{suggestion(name, SqlOptions.model_fields)} "
            f"Its options: {', '.join(SqlOptions.model_fields)}.",
            problems={name: "there is no such option"},
        )
    try:
        return SqlOptions.model_validate({**given, **ours}), rest
    except ValidationError as error:
        problems = {".".join(map(str, one["loc"])): one["msg"] for one in error.errors(include_input=False)}
        said = "; ".join(f"{name}: {why}" if name else why for name, why in problems.items())
        raise OptionsError(f"Wrong options in the URL of a database: {said}.", problems=problems) from None


def _secrets(url: URL) -> tuple[str, ...]:
    """What must not be shown: the password, and whatever a driver is told under a name that says so."""
    found = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if "pass" in name.lower():
            found += [value] if isinstance(value, str) else list(value)
    return tuple(secret for secret in found if secret)
