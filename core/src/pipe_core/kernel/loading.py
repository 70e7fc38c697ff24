"""Loading one plugin: stevedore imports its light module, pluggy checks it against the hook specifications."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, Final, cast

import pluggy
from stevedore.driver import DriverManager

from pipe_core.kernel import hookspecs
from pipe_core.kernel.errors import (
    PluginDependencyError,
    PluginError,
    PluginIncompatibleError,
    PluginLoadError,
)
from pipe_core.kernel.families import FAMILIES, Family
from pipe_core.kernel.index import PluginEntry
from pipe_core.kernel.specs import API_VERSION, Spec

_EVENTS: Final = frozenset(name for name in vars(hookspecs.EventHooks) if name.startswith("pipe_"))
_PROVIDERS: Final = frozenset(name for name in vars(hookspecs.ProviderHooks) if name.startswith("pipe_"))


class _OneDriver(DriverManager[ModuleType]):
    """Loads exactly the entry point that the index chose.

    stevedore's own listing goes through its disk cache, so it is replaced by the one entry point there is to load.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self._chosen = entry_point
        super().__init__(entry_point.group, entry_point.name)

    def list_entry_points(self) -> list[EntryPoint]:
        return [self._chosen]


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows pipe's hook specifications and nothing else."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs.ProviderHooks)
    manager.add_hookspecs(hookspecs.EventHooks)
    return manager


def load_module(entry: PluginEntry) -> ModuleType:
    """Import the light module of *entry*.

    Raises:
        PluginDependencyError: The module needs another one that is not installed.
        PluginLoadError: The module is broken in any other way; the cause is chained.
    """
    assert entry.entry_point is not None  # entries made by the index always have one
    try:
        return cast(ModuleType, _OneDriver(entry.entry_point).driver)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin that calls sys.exit() must not end its host
        raise _load_error(entry, error) from error


def _load_error(entry: PluginEntry, error: BaseException) -> PluginLoadError:
    word = FAMILIES[entry.family].word
    who = f"The {word} '{entry.name}' of {entry.distribution} {entry.version}"
    own = entry.module.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != own:
        return PluginDependencyError(
            f"{who} needs the module '{error.name}', which is not installed. "
            f"Install it, or reinstall the plugin with its dependencies: pip install --force-reinstall "
            f"{entry.distribution}",
            family=entry.family,
            name=entry.name,
            distribution=entry.distribution,
            missing=error.name,
        )
    return PluginLoadError(
        f"{who} cannot be imported: {type(error).__name__}: {error}. "
        f"This is a bug in the plugin (module {entry.module}); other plugins are not affected.",
        family=entry.family,
        name=entry.name,
        distribution=entry.distribution,
    )


def register(manager: pluggy.PluginManager, plugin: object, name: str, who: PluginEntry) -> None:
    """Register *plugin* once, or leave no trace of it.

    Raises:
        PluginIncompatibleError: A hook's name or signature does not fit the specifications.
    """
    if manager.is_registered(plugin):
        return
    try:
        manager.register(plugin, name)
        check_hooks(manager, plugin)
    except Exception as error:  # a misfit, or what the plugin's own pipe_configure raised: it is told when registered
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        misfit = isinstance(error, pluggy.PluginValidationError)
        raise _incompatible(who, str(error) if misfit else f"pipe_configure(settings) raised {error!r}") from error


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse what would never be called: unknown names, asynchronous functions, wrappers of events.

    Raises:
        pluggy.PluginValidationError: *plugin* has a hook of that kind.
    """
    for caller in manager.get_hookcallers(plugin) or ():
        for impl in caller.get_hookimpls():
            if impl.plugin is plugin and (reason := _misfit(caller, impl)):
                raise pluggy.PluginValidationError(plugin, reason)


def _misfit(caller: pluggy.HookCaller, impl: pluggy.HookImpl) -> str | None:
    where = f"{caller.name}{inspect.signature(impl.function)}"
    if not caller.has_spec():
        return f"no hook is called '{where}'; there are: {', '.join(sorted(_EVENTS | _PROVIDERS))}"
    if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
        return f"'{where}' is a coroutine function; hooks are not awaited"
    if caller.name in _EVENTS and (impl.wrapper or impl.hookwrapper):
        return f"'{where}' wraps an event; only answers ({', '.join(sorted(_PROVIDERS))}) can be wrapped"
    return None


def ask(entry: PluginEntry, module: ModuleType, wrappers: tuple[object, ...] = ()) -> Spec[Any]:
    """The spec that *module* gives for the name of *entry*, seen through the *wrappers* of observers.

    Everything happens on a manager of its own, so that what does not fit leaves no trace.

    Raises:
        PluginIncompatibleError: A hook does not fit, or the answer is none.
    """
    family = FAMILIES[entry.family]
    manager = new_manager()
    register(manager, module, entry.module, entry)
    for wrapper in wrappers:
        manager.register(wrapper)
    try:
        spec = getattr(manager.hook, family.provider)(name=entry.name)
    except PluginError:
        raise
    except Exception as error:
        raise _incompatible(entry, f"{family.provider}({entry.name!r}) raised {error!r}") from error
    return _checked(entry, family, spec)


def _checked(entry: PluginEntry, family: Family, spec: object) -> Spec[Any]:
    if spec is None:
        raise _incompatible(entry, f"its module has no hook {family.provider}(name) that answers {entry.name!r}")
    if not isinstance(spec, family.spec):
        raise _incompatible(entry, f"{family.provider}() returned {type(spec).__name__}, not {family.spec.__name__}")
    if spec.api_version != API_VERSION:
        raise _incompatible(entry, f"it was written for api_version {spec.api_version}; this is {API_VERSION}")
    return spec


def _incompatible(entry: PluginEntry, reason: str) -> PluginIncompatibleError:
    word = FAMILIES[entry.family].word
    return PluginIncompatibleError(
        f"The {word} '{entry.name}' of {entry.distribution} {entry.version} does not fit this version of pipe-core: "
        f"{reason}. Upgrade {entry.distribution} or pipe-core, or tell the plugin's author.",
        family=entry.family,
        name=entry.name,
        distribution=entry.distribution,
    )
