"""The kernel: chooses plugins, loads them once, validates their options and makes their products."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from pipe_core.kernel import selection as selections
from pipe_core.kernel import settings as settings_module
from pipe_core.kernel.errors import OptionsError, PluginError, PluginNotFoundError, SettingsError
from pipe_core.kernel.families import FAMILIES
from pipe_core.kernel.index import PluginEntry, PluginIndex
from pipe_core.kernel.settings import Setting, Settings
from pipe_core.kernel.specs import FormatSpec, Spec

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipe_core.kernel.events import Observers

_INSECURE: Final = "allow_insecure"
"""The option that lets an executor talk to another machine without encryption or a token."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A plugin that was chosen, ready to be started: ``choice.make()``."""

    entry: PluginEntry
    spec: Spec[Any]
    options: BaseModel
    sources: Mapping[str, str]

    def make(self) -> Any:
        """Start it. The only step that imports a backend."""
        return self.spec.factory(self.options)


class Kernel:
    """Plugins by name, settings, and nothing else. Independent of every other kernel; safe under threads.

    Args:
        environ: The environment to read settings and blocked plugins from; default the process's.
        folder: Where to look, upwards, for a settings file; default the working folder at each look.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self.settings = Settings(environ, folder)
        self._environ = environ
        self._lock = threading.RLock()
        self._modules: dict[str, ModuleType] = {}
        self._specs: dict[tuple[str, str], Spec[Any]] = {}
        self._failures: dict[tuple[str, str], PluginError] = {}

    @cached_property
    def index(self) -> PluginIndex:
        """What was installed when the kernel first looked."""
        return PluginIndex(self._environ)

    @cached_property
    def _manager(self) -> Any:
        from pipe_core.kernel.loading import new_manager

        manager = new_manager()
        manager.hook.pipe_configure.call_historic(kwargs={"settings": self._values()})
        return manager

    def _values(self) -> Mapping[str, Any]:
        """All settings, for `pipe_configure`; none where one is wrong, which is an error for whoever uses it."""
        try:
            return {name: self.settings.get(name).value for name in settings_module.KINDS}
        except SettingsError:
            return {}

    # --- from a name to a spec ---

    def spec(self, family: str, name: str, observers: Observers | None = None) -> Spec[Any]:
        """What the plugin called *name* offers. Loads its light module, not its backend.

        Raises:
            PluginError: It is unknown, ambiguous, blocked, broken or incompatible.
        """
        return self._load(self.index.find(family, name), observers)

    def _load(self, entry: PluginEntry, observers: Observers | None = None) -> Spec[Any]:
        from pipe_core.kernel import loading

        key = (entry.family, entry.qualified)
        with self._lock:
            if key in self._failures:
                raise self._failures[key]
            try:
                module = self._modules.get(entry.module) or loading.load_module(entry)
                if key not in self._specs:
                    spec = loading.ask(entry, module)  # whatever is wrong shows here, before anything is changed
                    loading.register(self._manager, module, entry.module, entry)
                    self._modules[entry.module], self._specs[key] = module, spec
            except PluginError as error:
                self._failures[key] = error
                raise
            if observers is not None and observers.wrappers:
                return loading.ask(entry, module, observers.wrappers)
            return self._specs[key]

    def failure(self, entry: PluginEntry) -> PluginError | None:
        """Why *entry* cannot be used, or None. Loads it."""
        try:
            self._load(entry)
        except PluginError as error:
            return error
        return None

    # --- from what was asked for to a choice ---

    def choose(
        self,
        family: str,
        asked: Any = None,
        /,
        options: Mapping[str, Any] | None = None,
        *,
        default: str | None = None,
        observers: Observers | None = None,
    ) -> Choice | Any:
        """The plugin that *asked*, the settings and the *default* come to, with validated options.

        Options given at several levels add up, the strongest winning, as long as they are meant for the same plugin.

        Returns:
            A `Choice`, or *asked* itself where it is a finished product.

        Raises:
            PluginError: The plugin cannot be used.
            OptionsError: An option is unknown or wrong, or nothing was chosen at all.
        """
        word = FAMILIES[family].word
        levels = [Setting(dict(options), "the call")] if options else []
        if asked is not None:
            levels.append(Setting(asked, "the call"))
        levels += self.settings.selections(word) if word in settings_module.SELECTED else []
        if default is not None:
            levels.append(Setting(default, "default"))
        return self._merge(family, levels, observers)

    def _merge(self, family: str, levels: list[Setting], observers: Observers | None) -> Choice | Any:
        word = FAMILIES[family].word
        name: str | None = None
        source = "the call"
        raw: dict[str, Setting] = {}
        for level in levels:
            chosen = selections.parse(level.value, word)
            if chosen.product is not None and name is None:
                return self._product(chosen.product, raw, word)
            if chosen.model is not None:
                chosen = self._named(family, chosen.model)
            if chosen.name is not None and name is not None and chosen.name != name:
                continue
            if name is None and chosen.name is not None:
                name, source = chosen.name, level.source
            for option, value in chosen.options.items():
                place = self.settings.place(level.source, option)
                raw.setdefault(option, value if isinstance(value, Setting) else Setting(value, place))
        if name is None:
            raise OptionsError(f"No {word} was chosen. Name one of: {', '.join(self.index.names(family))}.")
        try:
            return self._finish(family, name, raw, observers)
        except PluginError as error:
            if source in ("the call", "default"):
                raise
            raise _named_by(error, source) from error.__cause__

    def _product(self, product: Any, raw: Mapping[str, Setting], word: str) -> Any:
        if raw:
            text = ", ".join(sorted(raw))
            raise OptionsError(
                f"Options ({text}) were given together with a finished {word}; they would be ignored. Leave them out, "
                f"or give them where it is made."
            )
        return product

    def _named(self, family: str, model: BaseModel) -> selections.Selection:
        package = type(model).__module__.partition(".")[0]
        for entry in self.index.entries(family):
            own = entry.module.partition(".")[0] == package and not entry.blocked and self.failure(entry) is None
            if own and self._load(entry).options is type(model):
                fields = {name: getattr(model, name) for name in model.model_fields_set}
                return selections.Selection(name=entry.name, options=fields)
        raise OptionsError(f"{type(model).__name__} is the options model of no installed {FAMILIES[family].word}.")

    def _finish(self, family: str, name: str, raw: Mapping[str, Setting], observers: Observers | None) -> Choice:
        from pipe_core.kernel.options import validate

        entry = self.index.find(family, name)
        spec = self._load(entry, observers)
        _check_trusted(entry.name, raw)
        options = validate(entry, spec.options, raw)
        return Choice(entry, spec, options, {option: setting.source for option, setting in raw.items()})

    def make(self, family: str, asked: Any = None, /, options: Mapping[str, Any] | None = None, **how: Any) -> Any:
        """Choose and start: the product of `choose`."""
        chosen = self.choose(family, asked, options, **how)
        return chosen.make() if isinstance(chosen, Choice) else chosen

    # --- formats by suffix, observers by name ---

    def format_for(self, suffix: str) -> str:
        """The name of the format for a file *suffix* such as ``.csv``.

        Raises:
            PluginNotFoundError: No installed format has it; names the package that would.
        """
        plain = suffix.lower().removeprefix(".")
        return self._format_named(plain, lambda spec: f".{plain}" in spec.suffixes)

    def format_for_scheme(self, scheme: str) -> str:
        """The name of the format for a URL *scheme* such as ``sqlite``.

        Raises:
            PluginNotFoundError: No installed format has it; names the package that would.
        """
        return self._format_named(scheme, lambda spec: scheme in spec.schemes)

    def _format_named(self, word: str, fits: Callable[[FormatSpec], bool]) -> str:
        if word in self.index.names("formats"):
            return word
        for entry, spec in self.usable("formats"):
            if fits(cast(FormatSpec, spec)):
                return entry.name
        raise self._no_format(word)

    def usable(self, family: str) -> Iterator[tuple[PluginEntry, Spec[Any]]]:
        """Every plugin of *family* that is neither blocked nor broken, loaded."""
        for entry in self.index.entries(family):
            if not entry.blocked and self.failure(entry) is None:
                yield entry, self._load(entry)

    def _no_format(self, name: str) -> PluginNotFoundError:
        try:
            self.index.find("formats", name)
        except PluginNotFoundError as error:
            return error
        raise AssertionError(name)  # pragma: no cover  # the caller has looked already

    def observers(self, asked: Sequence[Any] | None = None) -> Observers:
        """The observers named by *asked* or by the settings, checked against the hook specifications.

        Raises:
            PluginError: One cannot be loaded, or does not fit.
        """
        from pipe_core.kernel.events import Observers
        from pipe_core.kernel.loading import new_manager, register

        setting = self.settings.get("observers", ())
        wanted = setting.value if asked is None else asked
        wanted = [wanted] if isinstance(wanted, str) else wanted
        manager = new_manager()
        objects: list[object] = []
        for one in wanted or ():
            try:
                chosen = self.choose("observers", one)
            except PluginError as error:
                if asked is not None:
                    raise
                raise _named_by(error, setting.source) from error.__cause__
            product = chosen.make() if isinstance(chosen, Choice) else chosen
            who = chosen.entry if isinstance(chosen, Choice) else _stranger(product)
            register(manager, product, f"{who.name}-{len(objects)}", who)
            objects.append(product)
        observers = Observers(manager, objects)
        if observers.hears("pipe_configure"):
            observers.tell("pipe_configure", settings=self._values())
        return observers


def _check_trusted(name: str, raw: Mapping[str, Setting]) -> None:
    """No file may say that a plain address is safe: whoever answers there runs code here."""
    setting = raw.get(_INSECURE)
    if setting is not None and setting.value and os.path.isabs(setting.source.partition(":")[0]):
        raise OptionsError(
            f"{_INSECURE} of '{name}' is said by {setting.source}. A settings file cannot allow that: say it in "
            f"the call, with using(...), on the command line or in the environment.",
            problems={_INSECURE: f"is said by {setting.source}"},
        )


def _named_by(error: PluginError, source: str) -> PluginError:
    """*error*, saying where the plugin was asked for. A copy: the kernel remembers failures and raises them again."""
    twin = copy.copy(error)
    twin.args = (f"{error} (asked for by {source})",)
    return twin


def _stranger(product: object) -> PluginEntry:
    module = type(product).__module__
    return PluginEntry("observers", type(product).__name__, module, module.partition(".")[0], "")


_default: Kernel | None = None
_default_lock = threading.Lock()


def current_kernel() -> Kernel:
    """The kernel of the innermost ``using(kernel=...)``, else the process's default one."""
    global _default  # one lazy default for the process; every other kernel is explicit
    if (chosen := settings_module.kernel_in_use()) is not None:
        return cast(Kernel, chosen)
    with _default_lock:
        if _default is None:
            _default = Kernel()
        return _default
