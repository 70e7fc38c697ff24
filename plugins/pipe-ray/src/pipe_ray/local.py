"""A cluster of our own, in the host: the least that Ray needs, on the loopback interface."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

_LOOPBACK: Final = "127.0.0.1"


def start(settings: dict[str, Any]) -> None:
    """Start Ray on this machine and connect to it.

    `ray.init` has no words for what is switched off here, so some of Ray's own functions are replaced, in this process
    only. Where a version of Ray has them no more it starts what it starts. That it listens to nobody but this machine
    is made sure.

    Args:
        settings: ``kept``, where Ray keeps what it keeps in files; ``slots``; ``resources``; ``namespace``.

    Raises:
        RuntimeError: It listens to other machines.
    """
    import ray
    from ray._private import node, services

    # Ray takes 127.0.0.1 for a mistake and listens to the network instead.
    _replace(services, "resolve_ip_for_localhost", lambda host: host)
    # Half of the time to start, and nobody looks at them: the server of the dashboard, which is started without the
    # dashboard too, the autoscaler, and what would print the workers' output here.
    _replace(node.Node, "start_api_server", _no_api_server)
    _replace(node.Node, "start_monitor", _nothing)
    _replace(node.Node, "start_log_monitor", _nothing)
    resources = dict(settings["resources"])
    ray.init(
        address="local",
        num_cpus=settings["slots"],
        num_gpus=resources.pop("GPU", 0),
        _memory=resources.pop("memory", None),
        resources=resources,
        namespace=settings["namespace"],
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _node_ip_address=_LOOPBACK,
        _temp_dir=settings["kept"],
    )
    nodes: Any = ray.nodes  # not annotated
    addresses = {one["NodeManagerAddress"] for one in nodes()}
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise RuntimeError(f"Ray {ray.__version__} listens on {', '.join(addresses)} and was told to be local.")


def _replace(owner: Any, name: str, substitute: Any) -> None:
    if hasattr(owner, name):
        setattr(owner, name, substitute)


def _no_api_server(node: Any, **_: Any) -> None:
    node._webui_url = ""


def _nothing(node: Any) -> None:
    pass
