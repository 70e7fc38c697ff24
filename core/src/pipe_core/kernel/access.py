"""Products by name, from the current kernel: the functions that people import from `pipe_core`."""

from __future__ import annotations

from typing import Any, cast

from pipe_core.kernel.contracts import Codec, Format, Scheduler
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel


def get_scheduler(name: Any = None, /, **options: Any) -> Scheduler:
    """The scheduler called *name* (default: as the settings say, then ``fifo``), made with *options*.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong, or *name* is no name and no scheduler.
    """
    made = current_kernel().make("schedulers", name, options, default="fifo")
    if isinstance(made, type) or not isinstance(made, Scheduler):
        raise OptionsError(
            f"{made!r} is no scheduler. Give a name such as 'priority', (name, options), or one that was made, such as "
            f"PriorityScheduler()."
        )
    return made


def get_codec(name: Any = None, /, **options: Any) -> Codec:
    """The codec called *name* (default: as the settings say, then ``msgpack``), made with *options*.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong.
    """
    return cast(Codec, current_kernel().make("codecs", name, options, default="msgpack"))


def get_format(name: Any, /, **options: Any) -> Format:
    """The format called *name*, made with *options*; ``.source(target)`` and ``.sink(target)`` use it.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong.
    """
    return cast(Format, current_kernel().make("formats", name, options))


def get_hook(name: Any, /, **options: Any) -> Any:
    """The record hook called *name*, made with *options*.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong.
    """
    return current_kernel().make("hooks", name, options)


def get_observer(name: Any, /, **options: Any) -> Any:
    """The observer called *name*, made with *options*.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong.
    """
    return current_kernel().make("observers", name, options)
