"""What a pod gets: nothing, or the words for `proxy-init`, from its own spec, its annotations, those of its
namespace, and the node's configuration.

Where the proxy listens and as whom it runs is read from the pod itself, which is what will run: an annotation
of the namespace may have changed since the pod was injected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.controlplane.cni.fields import field, objects, text, texts
from linkerd2_py.controlplane.cni.question import CniError, Code
from linkerd2_py.controlplane.kubernetes_api import Json

PROXY: Final = "linkerd-proxy"
INIT: Final = "linkerd-init"
_ANNOTATION: Final = "config.linkerd.io/"
_COMPONENT: Final = "linkerd.io/control-plane-component"
USUAL_API_PORTS: Final = ("443", "6443")
"""Of an API server, where the Service `kubernetes` cannot be read."""
_FIELDS: Final = {
    "incoming-proxy-port": 4143,
    "outgoing-proxy-port": 4140,
    "proxy-uid": 2102,
    "proxy-gid": -1,
    "ports-to-redirect": [],
    "inbound-ports-to-ignore": ["4190", "4191"],
    "outbound-ports-to-ignore": [],
    "subnets-to-ignore": [],
    "use-wait-flag": False,
    "iptables-mode": "nft",
    "ipv6": False,
}
"""Of `linkerd` in the configuration, as Linkerd has them, with what each is where it is left out."""
_LISTENERS: Final = {
    "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "incoming-proxy-port",
    "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": "outgoing-proxy-port",
    "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS": "outgoing-proxy-port",
}
_ASIDE: Final = ("LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "LINKERD2_PROXY_CONTROL_LISTEN_ADDR")
"""What is asked of the proxy itself is not to be sent through it."""


@dataclass(frozen=True, slots=True)
class Words:
    """Arguments of `proxy-init`, and where each came from that somebody may have got wrong."""

    arguments: tuple[str, ...]
    origins: Mapping[str, str]

    def blamed(self, complaint: str) -> str:
        """What `proxy-init` says of an argument, said of what it was made from."""
        for flag, origin in self.origins.items():
            found = re.search(rf"argument (-\w/)?{flag}:", complaint)
            if found:
                return complaint.replace(found[0], f"{origin}:")
        return complaint


def is_ours(pod: Json) -> bool:
    """Whether it has a proxy, and nobody in it who writes the rules."""
    names = {text(one, "name") for one in _containers(pod)}
    return PROXY in names and INIT not in names


def is_control_plane(pod: Json) -> bool:
    """Whether it belongs to the control plane, whose processes ask the API server beside their proxies."""
    return bool(text(pod, "metadata", "labels", _COMPONENT))


def words_for(
    pod: Json, *, namespace: Json, configuration: Json, api_ports: tuple[str, ...]
) -> Words:
    """For a pod that `is_ours`. `api_ports` are not sent through the proxy. Raises `CniError` for a
    configuration that is none.
    """
    settings = _settings(configuration)
    proxy = _proxy(pod)
    settings |= dict(_listeners(proxy))
    notes = _Annotations(pod, namespace)
    origins: dict[str, str] = {}

    def take(flag: str, name: str, otherwise: str) -> str:
        said, origin = notes.find(name)
        origins[flag] = origin or "the node's configuration"
        return said or otherwise

    uid, gid = (_user(pod, proxy, name) for name in ("runAsUser", "runAsGroup"))
    inbound = [*settings["inbound-ports-to-ignore"], *_aside(proxy)]
    outbound_flag, inbound_flag = "--outbound-ports-to-ignore", "--inbound-ports-to-ignore"
    skipped = take(inbound_flag, "skip-inbound-ports", "")
    passed = take(
        outbound_flag, "skip-outbound-ports", ",".join(settings["outbound-ports-to-ignore"])
    )
    subnets = take("--subnets-to-ignore", "skip-subnets", ",".join(settings["subnets-to-ignore"]))
    flags = {
        "--incoming-proxy-port": settings["incoming-proxy-port"],
        "--outgoing-proxy-port": settings["outgoing-proxy-port"],
        "--proxy-uid": uid or take("--proxy-uid", "proxy-uid", settings["proxy-uid"]),
        "--proxy-gid": gid or take("--proxy-gid", "proxy-gid", settings["proxy-gid"]),
        "--ports-to-redirect": ",".join(settings["ports-to-redirect"]),
        inbound_flag: _joined([*dict.fromkeys(inbound), skipped]),
        outbound_flag: _joined([passed, *api_ports]),
        "--subnets-to-ignore": subnets,
        "--iptables-mode": settings["iptables-mode"],
        "--use-wait-flag": settings["use-wait-flag"],
        "--ipv6": settings["ipv6"],
    }
    if any("\0" in value for value in flags.values()):
        raise CniError(Code.REFUSED, "an annotation of the pod or of its namespace has a NUL in it")
    return Words(tuple(f"{flag}={value}" for flag, value in flags.items() if value), origins)


class _Annotations:
    """The pod's own, before those of its namespace."""

    def __init__(self, pod: Json, namespace: Json) -> None:
        self._of = {
            "the pod": texts(pod, "metadata", "annotations"),
            "the namespace": texts(namespace, "metadata", "annotations"),
        }

    def find(self, name: str) -> tuple[str, str]:
        """What is said, and where; empty where nobody says anything."""
        key = f"{_ANNOTATION}{name}"
        for whose, notes in self._of.items():
            if said := notes.get(key, "").strip():
                return said, f"annotation {key} of {whose}"
        return "", ""


def _settings(configuration: Json) -> dict[str, Any]:
    """Each as the text, or the list of texts, that `proxy-init` takes."""
    found = configuration.get("linkerd", {})
    if not isinstance(found, dict):
        raise CniError(Code.BAD_CONFIGURATION, "linkerd: it is not an object")
    return {name: _setting(name, found.get(name, usual), usual) for name, usual in _FIELDS.items()}


def _setting(name: str, value: Any, usual: Any) -> str | list[str]:
    kind = type(usual)
    if type(value) is not kind:
        wanted = {int: "a number", bool: "true or false", str: "a text", list: "a list"}[kind]
        raise CniError(Code.BAD_CONFIGURATION, f"linkerd.{name}: it is not {wanted}")
    if isinstance(value, list):
        return [str(one) for one in value]
    return str(value).lower() if kind is bool else str(value)


def _listeners(proxy: Json) -> Iterator[tuple[str, str]]:
    environment = _environment(proxy)
    for variable, setting in _LISTENERS.items():
        if port := _port(environment.get(variable, "")):
            yield setting, port


def _aside(proxy: Json) -> Iterator[str]:
    environment = _environment(proxy)
    for variable in _ASIDE:
        if port := _port(environment.get(variable, "")):
            yield port


def _port(addresses: str) -> str:
    """Of the first of several: all have the same."""
    port = addresses.partition(",")[0].rpartition(":")[2]
    return port if port.isascii() and port.isdecimal() else ""


def _user(pod: Json, proxy: Json, name: str) -> str:
    for number in (
        field(proxy, "securityContext", name),
        field(pod, "spec", "securityContext", name),
    ):
        if type(number) is int and number > 0:
            return str(number)
    return ""


def _proxy(pod: Json) -> Json:
    return next((one for one in _containers(pod) if one.get("name") == PROXY), {})


def _containers(pod: Json) -> list[Json]:
    """Of both kinds: as a native sidecar the proxy is an init container."""
    return [*objects(pod, "spec", "containers"), *objects(pod, "spec", "initContainers")]


def _environment(container: Json) -> dict[str, str]:
    return {
        one["name"]: one["value"]
        for one in objects(container, "env")
        if isinstance(one.get("name"), str) and isinstance(one.get("value"), str)
    }


def _joined(parts: list[str]) -> str:
    return ",".join(part for part in parts if part)
