"""Environments of proxies that Linkerd's injector wrote into manifests, as Kubernetes gives them to a process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

PROXY = "linkerd-proxy"
FIELDS: Mapping[str, str] = {
    "metadata.name": "web-0",
    "metadata.namespace": "emojivoto",
    "metadata.uid": "5d2c3f0e-7d1b-4a57-9f0c-0f8b4f3a2b11",
    "spec.nodeName": "node-1",
    "spec.serviceAccountName": "web",
    "status.podIP": "10.244.0.7",
    "status.podIPs": "10.244.0.7,fd00:10:244::7",
}
"""What a running pod says of itself."""

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class Injected(NamedTuple):
    """The proxy's environment in the `number`th container of its name in a file."""

    file: str
    number: int
    environ: dict[str, str]

    def __str__(self) -> str:
        return f"{self.file}-{self.number}"


def injected(file: Path) -> Iterator[Injected]:
    """One for each proxy in the manifests of `file`."""
    text = file.read_text(encoding="utf-8")
    if PROXY not in text:
        return
    found = (env for document in yaml.safe_load_all(text) for env in _proxies(document))
    for number, env in enumerate(found):
        yield Injected(file.name, number, expanded(env))


def expanded(env: list[dict[str, Any]]) -> dict[str, str]:
    """`env` of a container, with fields of the pod and references to what stands before."""
    found: dict[str, str] = {}
    for one in env:
        found[one["name"]] = _value(one, found)
    return found


def _proxies(value: object) -> Iterator[list[dict[str, Any]]]:
    """Wherever containers stand: in pods, their templates, and lists of them."""
    if isinstance(value, dict):
        if value.get("name") == PROXY and "env" in value:
            yield value["env"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _proxies(one)


def _value(one: Mapping[str, Any], known: Mapping[str, str]) -> str:
    if "valueFrom" in one:
        return FIELDS[one["valueFrom"]["fieldRef"]["fieldPath"]]
    return _REFERENCE.sub(lambda match: _referred(match, known), one.get("value") or "")


def _referred(match: re.Match[str], known: Mapping[str, str]) -> str:
    """`$$` is a dollar; what nothing stands for stays as it is."""
    return "$" if match[0] == "$$" else known.get(match[1], match[0])
