"""A witness: remembers all that was said, and finds in it what nobody should have said."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipe_core.cli.app import app

CANARY = "c4narySecret"


@dataclass
class Witness:
    """Remembers what was logged, printed, warned of, raised, represented and left in files.

    Attributes:
        folder: The working folder. What is in it at the end counts as said, but for files called ``in`` or ``typed``.
    """

    folder: Path
    log: pytest.LogCaptureFixture
    streams: pytest.CaptureFixture[str]
    warned: list[warnings.WarningMessage]
    texts: list[str] = field(default_factory=list)

    def see(self, *things: Any) -> None:
        """What objects say of themselves."""
        for thing in things:
            self.texts += [repr(thing), str(thing)]
            for name in ("to_json", "to_html", "to_dict", "model_dump_json"):
                if callable(method := getattr(type(thing), name, None)):
                    self.texts.append(str(method(thing)))

    def hear(self, call: Callable[[], Any]) -> Any:
        """What *call* gives, or raises, with its causes, as a traceback shows it."""
        try:
            result = call()
        except (Exception, SystemExit) as error:
            chain: BaseException | None = error
            while chain is not None:
                self.see(chain, vars(chain))
                chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
            self.texts.append("".join(traceback.format_exception(error)))
            return error
        self.see(result)
        return result

    def call(self, *words: str) -> None:
        """The command line, in this process."""
        self.hear(lambda: app.main(list(words)))

    def said(self) -> str:
        """All of it."""
        # Other libraries may tell of URLs at DEBUG. That is for whoever asks them to.
        logged = [one for one in self.log.records if one.name.startswith("pipe") or one.levelno >= logging.INFO]
        self.texts += [f"{one.getMessage()} {one.exc_text or ''}" for one in logged]
        self.texts += [str(one.message) for one in self.warned]
        self.texts += self.streams.readouterr()
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        left = [path for path in files if path.name.split(".")[0] not in ("in", "typed")]
        return "\n".join(self.texts + [f"{path} {path.read_bytes().decode('latin-1')}" for path in left])

    def knows_nothing(self, *marks: str) -> None:
        """The secret was not said. The *marks* were: what was tried came as far as it was meant to."""
        said = self.said()
        for mark in marks:
            assert mark in said, f"'{mark}' was not said: {said[:3000]}"
        at = said.find(CANARY)
        assert at < 0, f"... {said[max(0, at - 400) : at + 100]} ..."
