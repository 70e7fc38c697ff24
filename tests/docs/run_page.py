"""Runs the code blocks of one page as a reader would: ``python run_page.py PAGE`` in an empty folder.

The page has a Python of its own. Whatever is not as the page says ends it with a message that names page and line.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import subprocess
import sys
import types
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from blocks import Block, Command, blocks, commands, fits, what_is_said
from installing import install

SECONDS = 50
"""How long a command may take."""

LEFT_OUT = "left out: "
"""How a line begins that tells of a block whose plugin is missing."""


class Wrong(Exception):
    """The page says something that is not so."""


class Reader:
    """Somebody who types what a page shows, in the order in which it shows it."""

    def __init__(self) -> None:
        # What is defined on a page belongs to `__main__`, as in a script or a notebook.
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        self._names: dict[str, Any] = module.__dict__
        self._status, self._printed_last = 0, ""
        sys.path.insert(0, os.getcwd())

    def read(self, block: Block) -> None:
        """Do what *block* shows.

        Raises:
            Wrong: Something else happened than the page says.
        """
        if block.not_run is not None:
            return
        if missing := [name for name in block.needs if not installed(name)]:
            print(f"{LEFT_OUT}{block.page}:{block.line} needs {' and '.join(missing)}")
            return
        if block.title is not None:
            self._save(block)
        elif block.language == "python":
            self._run(block)
        elif block.language == "console":
            for command in commands(block):
                self._type(block, command)

    def _save(self, block: Block) -> None:
        path = Path(block.title or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_mtime if path.exists() else 0.0
        path.write_text(block.text, "utf-8")
        # A reader needs longer than a second for another version. Python takes what it compiled for the same file where
        # size and second are the same.
        changed = max(path.stat().st_mtime, before + 2)
        os.utime(path, (changed, changed))

    # --- Python ---

    def _run(self, block: Block) -> None:
        name = f"{block.page}:{block.line}"
        source = "\n" * (block.line - 1) + block.text
        statements = ast.parse(source, name).body
        sayings = what_is_said(source, [statement.end_lineno or 1 for statement in statements])
        if sayings.nowhere:
            number = sayings.nowhere[0]
            raise Wrong(f"{block.page}:{number}: no statement ends here, so nobody would compare what is said")
        for statement in statements:
            expected = sayings.behind.get(statement.end_lineno or 1)
            printed = self._printed(statement, name, wants=expected is not None)
            if expected is not None and not fits(expected, printed):
                raise Wrong(f"{block.page}:{statement.lineno}: said {expected!r}, printed {printed!r}")

    def _printed(self, statement: ast.stmt, name: str, *, wants: bool) -> str:
        output = io.StringIO()
        with contextlib.redirect_stdout(output if wants else sys.stdout):
            if isinstance(statement, ast.Expr):
                value = self._do(ast.Expression(statement.value), name, "eval")
                if value is not None and wants:
                    print(repr(value))
            else:
                self._do(ast.Module([statement], []), name, "exec")
        return output.getvalue()

    def _do(self, tree: ast.AST, name: str, mode: str) -> Any:
        code = compile(tree, name, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)  # type: ignore[call-overload]  # AST
        if code.co_flags & inspect.CO_COROUTINE:
            return asyncio.run(types.FunctionType(code, self._names)())
        return eval(code, self._names)

    # --- the command line ---

    def _type(self, block: Block, command: Command) -> None:
        where = f"{block.page}:{command.line}"
        if not command.text.startswith("echo $?"):
            self.check_status(where)
        if command.text.startswith("pip install "):
            install(command.text)
            return
        # Both streams go to one, in the order of writing; the status before is what `$?` means.
        done = subprocess.run(
            ["sh", "-c", f"(exit {self._status}); {command.text}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
        )
        self._status, self._printed_last = done.returncode, done.stdout
        if command.prints is not None and not fits(command.prints, done.stdout):
            raise Wrong(f"{where}: said\n{command.prints}\nprinted\n{done.stdout}")

    def check_status(self, where: str) -> None:
        """A command that fails must be said to fail."""
        if self._status:
            text = f"the command before ended with {self._status}, which the page does not say, and printed"
            raise Wrong(f"{where}: {text}\n{self._printed_last}")


def installed(name: str) -> bool:
    """Whether there is a distribution of that name."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Read the page that the command line names."""
    page = Path(sys.argv[1])
    reader = Reader()
    for block in blocks(page):
        reader.read(block)
    reader.check_status(f"{page.name}, at its end")


if __name__ == "__main__":
    main()
