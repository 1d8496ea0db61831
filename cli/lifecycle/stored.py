"""What a control plane's manifest has left where it was applied: values, certificates, choices."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.lifecycle.flags import Values
from linkerd2_py.cli.lifecycle.trust import Trust
from linkerd2_py.cli.objects import OF_MESH, find

if TYPE_CHECKING:
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

CONFIG: Final = "linkerd-config"
OVERRIDES: Final = "linkerd-config-overrides"
ROTATION: Final = "linkerd-identity-rotation"
_BUNDLE: Final = "linkerd-identity-trust-roots"
_ISSUER: Final = "linkerd-identity-issuer"
_WITH_HELM: Final = "meta.helm.sh/release-name"
_WEBHOOKS: Final = ("proxyInjector", "policyValidator", "tap")
_SECRETS: Final = (
    *("cliVersion", "identityTrustAnchorsPEM", "identity.issuer.tls"),
    *(f"{webhook}.{name}" for webhook in _WEBHOOKS for name in ("crtPEM", "keyPEM")),
)
"""Values that are made anew or have an object of their own, where they are read again: no key is written
twice.
"""


class Objects(Protocol):
    """Where objects are looked for: by what they are called in a path, in the control plane's namespace."""

    async def get(self, plural: str, name: str) -> Json | None:
        """None where there is none."""


@dataclass(frozen=True, slots=True)
class InCluster:
    """The objects of a cluster."""

    api: ApiServer
    namespace: str

    async def get(self, plural: str, name: str) -> Json | None:
        """See `Objects`."""
        return await find(self.api, f"/api/v1/namespaces/{self.namespace}/{plural}/{name}")


class InManifest:
    """Those of a manifest that was kept."""

    def __init__(self, objects: Iterable[Json], *, namespace: str) -> None:
        kinds = {"ConfigMap": "configmaps", "Secret": "secrets"}
        self._found = {
            (kinds[str(one.get("kind"))], str(one["metadata"].get("name"))): one
            for one in objects
            if one.get("kind") in kinds and one["metadata"].get("namespace") == namespace
        }

    async def get(self, plural: str, name: str) -> Json | None:
        """See `Objects`."""
        return self._found.get((plural, name))


@dataclass(frozen=True, slots=True)
class Stored:
    """What is there of an installation: `whole` where its last object is, too.

    `overrides` is what differs from the defaults of the version that was installed; None where nothing says
    so. `anchors` is the bundle in force, as text.
    """

    whole: bool
    overrides: Values | None
    anchors: str = ""
    issuer: Trust | None = None
    rotating: bool = False


async def stored(objects: Objects) -> Stored:
    """What is there. CliError where it cannot be read, or is Helm's."""
    config = await objects.get("configmaps", CONFIG)
    if config is not None and _WITH_HELM in (config["metadata"].get("annotations") or {}):
        raise CliError(
            "the control plane was installed with Helm: use Helm to change it (helm upgrade, helm uninstall)"
        )
    said = await objects.get("secrets", OVERRIDES)
    overrides = _overrides(said) if said is not None else None
    bundle = await objects.get("configmaps", _BUNDLE)
    anchors = str(((bundle or {}).get("data") or {}).get("ca-bundle.crt") or "")
    if not anchors and said is not None:
        # An apply that ended between the two.
        anchors = _text(said, "ca-bundle.crt")
    issuer = await objects.get("secrets", _ISSUER)
    if issuer is not None and not anchors:
        anchors = _text(issuer, "ca.crt")
    rotation = await objects.get("secrets", ROTATION)
    return Stored(
        whole=config is not None,
        overrides=overrides if overrides is not None else _of_config(config),
        anchors=anchors,
        issuer=_issuer(issuer, anchors),
        rotating=rotation is not None,
    )


def overrides_secret(
    values: Mapping[str, Any], *, defaults: Mapping[str, Any], namespace: str
) -> Json:
    """What `upgrade` starts from: what differs from the defaults, without keys, and the anchors, which are
    there before anything else is.
    """
    import yaml

    changed = differences(without_secrets(values), defaults)
    text = yaml.safe_dump(changed, allow_unicode=True, default_flow_style=False)
    data = {OVERRIDES: text, "ca-bundle.crt": str(values.get("identityTrustAnchorsPEM") or "")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": OVERRIDES, "namespace": namespace, "labels": {OF_MESH: namespace}},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


def differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Values:
    """What to lay over the defaults to have the values: null where something of them is gone."""
    found: Values = {}
    for name in [*values, *(name for name in defaults if name not in values)]:
        ours, theirs = values.get(name), defaults.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            if below := differences(ours, theirs):
                found[name] = below
        elif name not in defaults or ours != theirs:
            found[name] = ours
    return found


def without_secrets(values: Mapping[str, Any]) -> Values:
    """A copy in which keys and certificates are the defaults: empty."""
    import copy

    found: Values = copy.deepcopy(dict(values))
    for path in _SECRETS:
        above, _, last = path.rpartition(".")
        place = look_up(found, above) if above else found
        if isinstance(place, dict) and last in place:
            place[last] = {"crtPEM": "", "keyPEM": ""} if last == "tls" else ""
    return found


def known_only(overrides: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """What this version still knows, and the names of what it does not: an older one may have had more."""
    gone: list[str] = []

    def walk(found: Mapping[str, Any], declared: Mapping[str, Any], path: str) -> Values:
        if "$ref" in declared:
            declared = schema["$defs"][str(declared["$ref"]).rpartition("/")[2]]
        kept: Values = {}
        for name, one in found.items():
            below = (declared.get("properties") or {}).get(name)
            if below is None and declared.get("additionalProperties", True) is False:
                gone.append(f"{path}{name}")
            elif isinstance(one, Mapping) and isinstance(below, Mapping):
                kept[name] = walk(one, below, f"{path}{name}.")
            else:
                kept[name] = one
        return kept

    return walk(overrides, schema, ""), gone


def _overrides(secret: Json) -> Values:
    return _mapping(_text(secret, OVERRIDES), where=f"the Secret {OVERRIDES}")


def _of_config(config: Json | None) -> Values | None:
    """Where an apply ended before it had come to the overrides: all values, but for the secret ones."""
    if config is None:
        return None
    from linkerd2_py.charts.values import defaults, laid_over

    text = (config.get("data") or {}).get("values")
    found = _mapping(text if isinstance(text, str) else "", where=f"the ConfigMap {CONFIG}")
    # It leaves out keys, which is not what the user took away.
    whole = laid_over(defaults(), found)
    for webhook in _WEBHOOKS:
        own = whole.get(webhook) or {}
        if own.get("crtPEM") and str(own.get("caBundle")).startswith(str(own["crtPEM"])):
            own["caBundle"] = ""
    return differences(without_secrets(whole), defaults())


def _mapping(text: str, *, where: str) -> Values:
    from linkerd2_py.charts.evaluate import ValuesError
    from linkerd2_py.charts.values import read

    try:
        return read(text, name=where)
    except ValuesError as error:
        raise CliError(f"{where} cannot be read: {error}") from error


def _issuer(secret: Json | None, anchors: str) -> Trust | None:
    if secret is None:
        return None
    if (secret.get("data") or {}).get("tls.crt"):
        return Trust(anchors)
    return Trust(anchors, _text(secret, "crt.pem"), _text(secret, "key.pem"))


def _text(secret: Json, name: str) -> str:
    """Of `data`, or of `stringData` as a manifest may have it."""
    plain = (secret.get("stringData") or {}).get(name)
    if isinstance(plain, str):
        return plain
    try:
        return base64.b64decode((secret.get("data") or {}).get(name) or "", validate=True).decode()
    except (ValueError, TypeError, binascii.Error) as error:
        raise CliError(
            f"the Secret {secret['metadata'].get('name')}: {name} cannot be read"
        ) from error
