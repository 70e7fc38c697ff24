"""From an exception to a line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from pipe_core.kernel.errors import (
    ConfigError,
    OptionsError,
    PipeError,
    PluginError,
    SchemaError,
    SourceNotFoundError,
    TargetExistsError,
)
from pipe_core.looks import exits
from pipe_core.looks.redaction import redact

_CONFIGURATION: Final = (ConfigError, OptionsError, PluginError, SchemaError)
_USAGE: Final = (SourceNotFoundError, TargetExistsError)


class Mistake(click.ClickException):
    """What a person typed cannot be: a name that nothing has, a place that is not there."""

    exit_code = exits.USAGE


def guarded(call: Callable[[], Any], words: Sequence[str]) -> int:
    """Run *call* and give the exit code. Whatever it raises becomes a few words on standard error.

    Args:
        call: What to do; an int that it returns is the exit code.
        words: The command line, which may ask for tracebacks.
    """
    try:
        result = call()
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_quietly()
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped. Targets that were not complete are as they were.", err=True)
        return exits.INTERRUPTED
    except SystemExit as error:
        return _from_exit(error)
    except Exception as error:
        return _tell(error, words)
    return result if isinstance(result, int) else exits.OK


def _from_exit(error: SystemExit) -> int:
    code = error.code if isinstance(error.code, int) else exits.OK if error.code is None else exits.RUN_FAILED
    if code == exits.TERMINATED:
        click.echo("Terminated. Targets that were not complete are as they were.", err=True)
    return code


def _wants_traceback(words: Sequence[str]) -> bool:
    return "--traceback" in words or os.environ.get("PIPE_TRACEBACK", "") not in ("", "0")


def _tell(error: Exception, words: Sequence[str]) -> int:
    verbose = _wants_traceback(words)
    if is_broken_pipe(error):
        return _leave_quietly()
    if verbose:
        click.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    click.echo(f"Error: {redact(message(error, words))}", err=True)
    if not verbose and _is_bug(error):
        click.echo("This should not happen. Run it again with --traceback, and report what it shows.", err=True)
    return exit_code(error)


def message(error: Exception, words: Sequence[str] = ()) -> str:
    """The text of *error* for a person at a terminal, who typed *words*."""
    if isinstance(error, click.ClickException):
        text = error.format_message()
        two = "validate" in words[:1] and "unexpected extra argument" in text
        return f"{text}. Valid records go where --to says, rejected ones where --errors says." if two else text
    if isinstance(error, TargetExistsError):
        return f"{error.sink} exists already. Add --mode overwrite, append or ignore, or choose another place."
    if isinstance(error, PipeError):
        return str(error).replace("give the option ", "add -o ") if "validate" in words[:1] else str(error)
    return f"{type(error).__name__}: {error}"


def exit_code(error: BaseException) -> int:
    """The exit code for *error*."""
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, _USAGE):
        return exits.USAGE
    return exits.CONFIGURATION if isinstance(error, _CONFIGURATION) else exits.RUN_FAILED


def _is_bug(error: Exception) -> bool:
    return not isinstance(error, PipeError | click.ClickException | OSError)


def is_broken_pipe(error: BaseException | None) -> bool:
    """Whether *error* came about because whoever read standard output has gone."""
    while error is not None and not isinstance(error, BrokenPipeError):
        error = error.__cause__
    return error is not None


def _leave_quietly() -> int:
    """Nobody reads any more: what Python still wants to flush at its end goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # standard output has no file, as in tests
        pass
    return exits.PIPE_CLOSED
