"""A file in a store: where it is, what was seen of it, and how it is read. fsspec is imported when one is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipe_core.formats.remote_errors import ACCESS, StoreError, store_errors
from pipe_core.kernel.errors import OptionsError, PipeError, PluginDependencyError, SourceError
from pipe_core.kernel.urls import WEB, redacted

if TYPE_CHECKING:
    from pipe_core.formats.remote_reader import ForwardReader, RangeReader

EXTRA: Final = "pip install 'pipe-core[cloud]'"
_IN_EXTRA: Final = frozenset({"fsspec", "s3fs", "aiohttp", "aiobotocore", "botocore"})
_NO_STORES: Final = frozenset(
    {
        *("local", "asynclocal", "dir", "git", "data", "zip", "tar", "libarchive", "reference", "generic"),
        *("cached", "blockcache", "filecache", "simplecache", "async_wrapper", "asyncwrapper"),
    }
)
"""What fsspec knows beside stores: other names for local files, and wrappers around other file systems."""
_STAMPS: Final = (
    *("generation", "ETag", "etag", "md5Hash", "content_hash", "Content-MD5"),
    *("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "modified", "created"),
)
"""Facts that change when a file is replaced, the best ones first. Every file system has its own."""


def found_files(pattern: str, options: Mapping[str, Any] | None = None) -> dict[str, int]:
    """The files that the URL *pattern* means, as URLs with their sizes, in the order of their names.

    Raises:
        SourceError: The store cannot be asked.
    """
    file = RemoteFile(pattern, dict(options or {}))
    try:
        return file.find()
    except OSError as error:
        if isinstance(error, PipeError):
            raise
        text = f"The files of {file.name!r} cannot be listed: {error.strerror or error}. {ACCESS}"
        raise SourceError(text, source=file.name, position=0) from error


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A URL with what its file system is told. Plain data: it travels to workers. Its repr shows no secret.

    Attributes:
        url: The URL as given.
        options: Keyword arguments of the file system.
        name: The URL without user, password and query.
    """

    url: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False, hash=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", redacted(self.url))

    @property
    def scheme(self) -> str:
        """Which kind of store it is in."""
        return self.url.partition("://")[0]

    @property
    def writable(self) -> bool:
        """Whether files are written there: not on the web."""
        return self.scheme not in WEB

    def errors(self) -> AbstractContextManager[None]:
        """Inside, whatever the file system raises becomes an OSError without secrets."""
        return store_errors(self.url, self.options)

    def connect(self) -> tuple[Any, str]:
        """The file system, and what it calls the file. fsspec keeps one file system for the same options.

        Raises:
            PluginDependencyError: fsspec, or what it needs for the scheme, is not installed.
            OptionsError: fsspec knows no such store.
        """
        kind = _file_system(self.scheme)
        with self.errors():
            found = kind(**{**kind._get_kwargs_from_urls(self.url), **self.options})
            return found, kind._strip_protocol(self.url)

    def info(self) -> dict[str, Any]:
        """What the store says of the file now, whatever it said before. Raises FileNotFoundError and other OSErrors."""
        system, path = self.connect()
        with self.errors():
            system.invalidate_cache(path)
            found: dict[str, Any] = system.info(path)
            return found

    def exists(self) -> bool:
        """Whether there is something of that name."""
        try:
            self.info()
        except FileNotFoundError:
            return False
        return True

    def look(self) -> RemoteVersion:
        """The file as it is now. Raises FileNotFoundError and other OSErrors."""
        info = self.info()
        if info.get("type") == "directory":
            raise IsADirectoryError(21, "it is a folder")
        size = info.get("size")
        return RemoteVersion(self, size, _stamp(info), self._gives_ranges(info, size))

    def open(self) -> RangeReader | ForwardReader:
        """The bytes of the file as it is now, as a binary file; with `seek` where the store gives pieces of files."""
        return self.look().reader()

    def find(self) -> dict[str, int]:
        """The files that the URL, a pattern, means, as URLs with their sizes, in the order of their names."""
        system, path = self.connect()
        if self.scheme not in WEB and (size := self._size_of_this()) is not None:
            return {self.url: size}
        with self.errors():
            system.invalidate_cache()
            found = system.glob(path, detail=True)
        # What the file system left out of its path: the scheme, and a user and host where there are some.
        before = self.url[: -len(path)] if path and self.url.endswith(path) else f"{self.scheme}://"
        files = {f"{before}{one}": info for one, info in found.items() if info.get("type") != "directory"}
        return {url: files[url].get("size") or 0 for url in sorted(files)}

    def _size_of_this(self) -> int | None:
        """The size of a file of exactly this name, None where there is none."""
        try:
            info = self.info()
        except FileNotFoundError:
            return None
        return None if info.get("type") == "directory" else info.get("size") or 0

    def _gives_ranges(self, info: Mapping[str, Any], size: int | None) -> bool:
        """Whether pieces of the file can be asked for. A web server that cannot sends the whole file each time."""
        if not size or self.scheme not in WEB:
            return size is not None
        if size < 2 or not info.get("partial", True):
            return False
        system, path = self.connect()
        try:
            with self.errors(), system.open(path, "rb", size=size, cache_type="none") as file:
                file.seek(1)
                return len(file.read(1)) == 1
        except StoreError:  # no ranges; what else there may be shows when the file is read from its beginning
            return False


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """A file of a store as it was at one time. It travels to workers, which read the same version or none.

    Attributes:
        file: Which one.
        size: Its bytes, where the store tells.
        stamp: What changes when it is replaced.
        ranged: Whether pieces of it can be asked for.
    """

    file: RemoteFile
    size: int | None
    stamp: str
    ranged: bool

    def reader(self, until: int = 0) -> RangeReader | ForwardReader:
        """Its bytes. Whoever knows where they will stop says so with *until*, and needs fewer requests."""
        from pipe_core.formats.remote_reader import ForwardReader, RangeReader

        return RangeReader(self, until) if self.ranged else ForwardReader(self.file)

    def check(self) -> None:
        """Raises `StoreError` when the file is not what it was."""
        try:
            info = self.file.info()
        except FileNotFoundError:
            raise changed("it was removed while it was read") from None
        if (info.get("size"), _stamp(info)) != (self.size, self.stamp):
            raise changed("it was replaced while it was read")


def changed(what: str) -> StoreError:
    """The error for a file that did not stay what it was."""
    return StoreError(what, "Run again, and give new data a name of its own.")


def _stamp(info: Mapping[str, Any]) -> str:
    return next((f"{key} {info[key]}" for key in _STAMPS if info.get(key)), "")


def _file_system(scheme: str) -> Any:
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise _missing(scheme, "fsspec", EXTRA) from None
    if "::" in scheme or scheme in _NO_STORES:
        problem = f"'{scheme}://' names no store"
        raise OptionsError(f"{problem}. Give the path of a local file, or the URL of the store.")
    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        module = (getattr(error.__cause__, "name", None) or scheme).partition(".")[0]
        raise _missing(scheme, module, EXTRA if module in _IN_EXTRA else f"{EXTRA} {module}") from error
    except ValueError as error:
        problem = f"there is no store that fsspec knows as '{scheme}://'"
        raise OptionsError(f"T{problem[1:]}. Is the URL right?", problems={"path": problem}) from error


def _missing(scheme: str, module: str, install: str) -> PluginDependencyError:
    return PluginDependencyError(
        f"Files of '{scheme}://' need the module {module}, which is not installed. {install}",
        family="formats",
        name=scheme,
        distribution="pipe-core",
        missing=module,
    )
