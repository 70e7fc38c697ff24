"""CSV as a source: the header, and then splits for the workers or chunks of rows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pipe_core.formats.byte_range import ranges
from pipe_core.formats.csv_rows import CsvLayout, CsvRows
from pipe_core.formats.csv_split import CsvSplit
from pipe_core.formats.delimiter import delimiter_of
from pipe_core.formats.following import follow_file, not_followable
from pipe_core.formats.group import GROUP, limited, regrouped
from pipe_core.formats.input_file import InputFile, reading_errors
from pipe_core.formats.line_feed import LineFeed, LongLine
from pipe_core.formats.options import CsvOptions
from pipe_core.formats.rejections import record_too_large
from pipe_core.formats.rows_chunk import RowsChunk
from pipe_core.kernel.contracts import Extent, Followed, Rejection, SizeNow
from pipe_core.kernel.errors import SourceError


class CsvSource:
    """The records of a CSV file.

    Args:
        target: A path, a URL, or ``-`` for standard input.
        options: How the file is laid out.
    """

    travels: ClassVar[tuple[type, ...]] = (RowsChunk,)

    def __init__(self, target: Any, options: CsvOptions) -> None:
        self._options = options
        self._file = InputFile(target, options.encoding, options.storage_options)
        self._layout = self._layout_of(())
        self._feed: LineFeed | None = None
        self._begin = 0

    @property
    def name(self) -> str:
        """The path."""
        return self._file.name

    @property
    def live(self) -> bool:
        """Whether reading may block for long: standard input, pipes."""
        return self._file.live

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The names of the columns. Known after `open`."""
        return self._layout.fields or None

    @property
    def size(self) -> int | None:
        """Bytes behind the header, for a file that can be read in splits."""
        return self._file.size - self._begin if self._in_splits else None

    def open(self) -> None:
        """Read the header. Raises `SourceError` for a missing file or a header that names no fields."""
        self._file.open()
        with reading_errors(self.name):
            self._start()

    def splits(self, size: SizeNow) -> Iterator[CsvSplit] | None:
        """Byte ranges of about ``size()`` bytes; None for what can only be read from the beginning."""
        return self._ranges(size) if self._in_splits else None

    def splits_behind(self, extent: Extent, size: SizeNow) -> Iterator[CsvSplit] | None:
        """See `SeekableSource`: from where *extent* ends on."""
        if not self._in_splits or extent.of != self._file.path:
            return None
        return self._ranges(size, extent.end)

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: size, time and a hash of the first 64 KiB."""
        return self._file.fingerprint()

    def chunks(self, size: SizeNow) -> Iterator[RowsChunk]:
        """Chunks of ``size()`` rows. A live source gives what has arrived."""
        if self._feed is None:
            return
        feed, self._feed = self._feed, None
        groups = limited(CsvRows(feed, self._layout).groups(GROUP), self._options.max_rows)
        count = 0
        with reading_errors(self.name, lambda: count):
            for group in regrouped(groups, size, patient=not self.live):
                count += len(group.items)
                yield RowsChunk(self._layout.fields, group.items, group.rejected)

    def follow(self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None) -> Followed:
        """See `FollowableSource`. Lines that have no end yet are still being written.

        Raises:
            SourceError: Only the end of a plain file on this machine can be awaited; or as `follow_file`.
        """
        if not self._file.splittable or self._file.remote is not None or not self._in_splits:
            raise not_followable(self.name)
        quote = self._layout.quotechar.encode(self._layout.encoding) if self._layout.quotechar else None
        size = self._file.size  # of the time when the header was read
        return follow_file(self.name, self._file.path, self._begin, self._between, quote, since, limit, until, size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _between(self, begin: int, end: int) -> CsvSplit:
        return CsvSplit(self._file.path, begin, end, self._layout, exact=True)

    @property
    def _in_splits(self) -> bool:
        return self._file.splittable and self._options.escapechar is None and self._options.max_rows is None

    def _ranges(self, size: SizeNow, first: int | None = None) -> Iterator[CsvSplit]:
        first = self._begin if first is None else first
        for begin, end in ranges(first, self._file.size, size):
            exact, remote = begin == first, self._file.remote
            yield CsvSplit(self._file.path, begin, end, self._layout, exact=exact, remote=remote)

    def _start(self) -> None:
        feed = self._file.feed(self._options.max_record_bytes, carriage=True)
        for _ in range(self._options.skip_rows):
            feed.skip_line()
        names = self._names(feed)
        self._check_width(names)
        self._layout = self._layout_of(names)
        self._feed, self._begin = feed, feed.offset

    def _names(self, feed: LineFeed) -> tuple[str, ...]:
        given = self._options.fieldnames
        policy = self._options.header or ("first" if given is None else "none")
        if policy == "none":
            return given or tuple(f"column_{i + 1}" for i in range(self._width(feed)))
        row, rejection = self._first_row(feed)
        if given is not None:
            return given if row or rejection else ()
        if rejection is not None:
            raise self._bad_header(rejection.message)
        return self._checked(row)

    def _width(self, feed: LineFeed) -> int:
        """How many cells the first record has, which is read again as a record."""
        longest = self._options.max_record_bytes
        try:
            data = feed.take()
        except LongLine as error:
            raise self._bad_header(_too_large(error, longest).message, "first record") from None
        while True:
            row, rejection = self._first_row(LineFeed(io.BytesIO(data), longest=longest, carriage=True))
            is_open = rejection is not None and rejection.type == "OpenQuote" and len(data) <= longest
            if not (is_open or (not row and rejection is None)) or not (more := feed.more(len(data) or 1)):
                break
            data = data + more if is_open else more  # blank lines are over, a record may be longer than a block
        feed.push_back(data)
        if rejection is not None:
            raise self._bad_header(rejection.message, "first record")
        return len(row)

    def _first_row(self, feed: LineFeed) -> tuple[list[str], Rejection | None]:
        """The cells of the first row, or why it cannot be used; neither where there is none."""
        try:
            return CsvRows(feed, self._layout_of(())).first() or ([], None)
        except LongLine as error:
            return [], _too_large(error, self._options.max_record_bytes)

    def _checked(self, header: list[str]) -> tuple[str, ...]:
        names = [name.strip() for name in header] if self._options.strip else header
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if names and not any(names):
            raise self._bad_header("it is empty")
        if twice:
            raise self._bad_header(f"it names {', '.join(map(repr, twice))} more than once")
        return tuple(names)

    def _bad_header(self, problem: str, what: str = "header") -> SourceError:
        text = (
            f"The {what} of {self.name!r} cannot be used: {problem.rstrip('.')}. Name the fields with fieldnames=[...]"
        )
        over = " (and header='first' to read over the header)" if what == "header" else ""
        return SourceError(f"{text}{over}.", source=self.name, position=0)

    def _check_width(self, names: tuple[str, ...]) -> None:
        if len(names) > self._options.max_fields:
            most = self._options.max_fields
            text = f"{self.name!r} has {len(names):,} fields, max_fields is {most:,}. Is the delimiter right? If so, "
            raise SourceError(f"{text}raise max_fields.", source=self.name, position=0)

    def _layout_of(self, fields: tuple[str, ...]) -> CsvLayout:
        options = self._options
        return CsvLayout(
            encoding=self._file.read_encoding,
            delimiter=options.delimiter or delimiter_of(self._file.path),
            quotechar=options.quotechar,
            escapechar=options.escapechar,
            fields=fields,
            null_values=frozenset(options.null_values),
            strip=options.strip,
            longest=options.max_record_bytes,
        )


def _too_large(error: LongLine, limit: int) -> Rejection:
    return record_too_large(error.length, limit, error.head)
