"""What the commands of projects share: which project it is, what is otherwise in it, and what was typed wrongly."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import HIDDEN

if TYPE_CHECKING:
    from pipe_core.project.project import Project

Command = TypeVar("Command", bound=Callable[..., Any])

_PROJECT: Final = click.option(
    "--project", "place", metavar="PATH", help="The project's folder or file.  [default: found upwards]"
)
_ENV: Final = click.option("--env", metavar="NAME", help="The environment to lay upon the project.")
_SET: Final = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of the project's file; again for more."
)
_OUTSIDE: Final = click.option("--allow-outside", is_flag=True, help="Data may be outside of the project's folder.")
_TRACEBACK: Final = click.option(
    "--traceback", is_flag=True, expose_value=False, help="Show where an error comes from."
)
_FIELDS: Final = ("place", "env", "settings", "allow_outside")
_OVERRIDES: Final = "overrides"
"""How problems call what was said beside the files."""


class NoProject(Mistake):
    """There is no project where one was looked for."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which project was asked for.

    Attributes:
        place: Its file or folder; None: the working folder and those above are looked through.
        env: Its environment.
        settings: What is otherwise, as ``KEY=VALUE``.
        allow_outside: Whether its data may be outside of its folder.
    """

    place: str | None = None
    env: str | None = None
    settings: tuple[str, ...] = ()
    allow_outside: bool = False

    def words(self) -> str:
        """What has to be typed to mean the same project again, without what may be secret."""
        from pipe_core.project.runs.overrides import may_be_kept

        words = ["--project", self.place] if self.place is not None else []
        words += ["--env", self.env] if self.env is not None else []
        for one in self.settings:
            key, _, value = one.partition("=")
            words += ["--set", one if may_be_kept(key, _setting(value)) else f"{key}={HIDDEN}"]
        words += ["--allow-outside"] if self.allow_outside else []
        return "".join(f" {shlex.quote(word)}" for word in words)

    def load(self) -> Project:
        """The project.

        Raises:
            NoProject: There is none.
            Mistake: It has no such environment, or what was typed beside it is wrong.
            ConfigError: Its files are.
        """
        from pipe_core.kernel.errors import ConfigError
        from pipe_core.project.config.files import find_project
        from pipe_core.project.config.problems import ProjectConfigError, UnknownNameError
        from pipe_core.project.project import Project

        try:
            file = find_project(Path(self.place or "."))
        except ConfigError as error:
            raise NoProject(_without_place(error)) from error
        overrides = pairs_of(self.settings, "--set", _setting)
        try:
            return Project.load(file, self.env, overrides=overrides, allow_outside=self.allow_outside or None)
        except UnknownNameError as error:
            raise Mistake(str(error)) from error
        except ProjectConfigError as error:
            if all(one.path == _OVERRIDES for one in error.problems):
                raise Mistake(str(error).replace(f"{_OVERRIDES}, ", "--set ")) from error
            raise


def _without_place(error: Exception) -> str:
    return str(error).removeprefix(f"{getattr(error, 'path', '')}: ")


def project_switches(*, settings: bool = True, traceback: bool = True) -> Callable[[Command], Command]:
    """The switches that say which project it is; the command is given them as ``where``.

    Args:
        settings: Whether what is otherwise can be said.
        traceback: Whether a traceback can be asked for; False where another decorator adds that.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(*args: Any, **given: Any) -> Any:
            said = {name: given.pop(name) for name in _FIELDS if name in given}
            return command(*args, where=Where(**said), **given)

        wrapped: Any = _OUTSIDE(_TRACEBACK(call) if traceback else call)
        wrapped = _SET(wrapped) if settings else wrapped
        found: Command = _PROJECT(_ENV(wrapped))
        return found

    return decorate


# --- KEY=VALUE ---


def pairs_of(words: Sequence[str], switch: str, value: Callable[[str], Any]) -> dict[str, Any]:
    """Values from ``KEY=VALUE``.

    Raises:
        Mistake: One has no ``=``, or a key comes twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, separator, text = word.partition("=")
        key = key.strip()
        if not separator or not key:
            raise Mistake(f"{switch} '{word}' is not KEY=VALUE. For example: {switch} {_EXAMPLES[switch]}")
        if key in found:
            raise Mistake(f"{switch} says '{key}' twice. Say it once.")
        found[key] = value(text)
    return found


_EXAMPLES: Final = {"--set": "nodes.extract.retries=5", "--hyperparams": "depth=6"}


def hyperparams_of(words: Sequence[str]) -> dict[str, Any]:
    """Parameters, each as ``KEY=VALUE``, or several as a JSON object.

    Raises:
        Mistake: One is neither.
    """
    found: dict[str, Any] = {}
    plain = []
    for word in words:
        if not word.lstrip().startswith("{"):
            plain.append(word)
            continue
        try:
            found.update(json.loads(word))
        except ValueError as error:
            example = '{"depth": 6}'
            raise Mistake(f"--hyperparams {word!r} is no JSON: {error}. Write KEY=VALUE, or '{example}'.") from None
    return {**found, **pairs_of(plain, "--hyperparams", _parameter)}


def _setting(text: str) -> Any:
    """A value of the project's file. Words and numbers are read as the key wants them."""
    if text == "null":
        return None
    if not text.startswith(("[", "{", '"')):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def in_words(value: Any) -> str:
    """The VALUE that says *value* of the project's file."""
    if isinstance(value, str) and _setting(value) == value:
        return value
    return json.dumps(value)


def _parameter(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- what was typed wrongly ---

_DATES: Final = re.compile(r"\b(start|end)_date\b")
_TYPED: Final = frozenset({"start_date", "end_date", "tags", "every"})


@contextmanager
def typed(*, executor: Any = None, choice: bool = False) -> Iterator[None]:
    """Names, dates and executors that a person typed are usage, and so is a run that cannot be resumed.

    Args:
        executor: The executor that was typed.
        choice: Whether some nodes of a pipeline were chosen.

    Raises:
        Mistake: In place of an error about what was typed.
        ConfigError: In place of an error about how nodes of the project need each other.
    """
    from pipe_core.kernel import errors as kinds
    from pipe_core.project import errors as ours
    from pipe_core.project.config.problems import UnknownNameError
    from pipe_core.project.model_registry import ModelNotFoundError
    from pipe_core.runs import errors as runs

    try:
        yield
    except (UnknownNameError, ours.NodeNotFoundError, runs.RunNotFoundError, ModelNotFoundError) as error:
        raise Mistake(str(error)) from error
    except (runs.RunLockedError, runs.ResumeError) as error:
        raise Mistake(str(error).replace("resume with force", "add --force")) from error
    except kinds.UnsupportedCapabilityError as error:
        if executor is not None:
            raise Mistake(str(error)) from error
        raise kinds.ConfigError(str(error), path="") from error
    except ours.DependencyError as error:
        if choice:
            raise Mistake(str(error)) from error
        raise kinds.ConfigError(str(error), path="") from error
    except kinds.PluginNotFoundError as error:
        if executor is not None and error.family == "executors":
            raise Mistake(str(error)) from error
        raise
    except kinds.SettingsError:
        raise
    except kinds.OptionsError as error:
        if _is_typed(error.problems, executor, str(error)):
            raise Mistake(in_switches(str(error))) from error
        raise


def _is_typed(problems: Mapping[str, Any], executor: Any, text: str) -> bool:
    if executor is not None and "executor '" in text:
        return True
    return set(problems) <= _TYPED


def in_switches(text: str) -> str:
    """*text* with the names of switches in place of those of parameters."""
    text = _DATES.sub(lambda found: f"--{found[1]}-date", text)
    return text.replace("every=", "--every ").replace(" (from the call)", "")
