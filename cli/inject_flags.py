"""Flags of `inject` that say how proxies are configured. Each stands for an annotation of the pods, which
says what is to be other than the values of the control plane have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from linkerd2_py.cli import images
from linkerd2_py.cli.errors import bad_usage

if TYPE_CHECKING:
    from linkerd2_py.controlplane.injector.overrides import Values

_CONFIG: Final = "config.linkerd.io/"
_ALPHA: Final = "config.alpha.linkerd.io/"
ANNOTATIONS: Final[Mapping[str, str]] = {
    "proxy_image": f"{_CONFIG}proxy-image",
    "proxy_version": f"{_CONFIG}proxy-version",
    "image_pull_policy": f"{_CONFIG}image-pull-policy",
    "admin_port": f"{_CONFIG}admin-port",
    "control_port": f"{_CONFIG}control-port",
    "inbound_port": f"{_CONFIG}inbound-port",
    "outbound_port": f"{_CONFIG}outbound-port",
    "default_inbound_policy": f"{_CONFIG}default-inbound-policy",
    "enable_external_profiles": f"{_CONFIG}enable-external-profiles",
    "native_sidecar": f"{_CONFIG}proxy-enable-native-sidecar",
    "opaque_ports": f"{_CONFIG}opaque-ports",
    "proxy_cpu_limit": f"{_CONFIG}proxy-cpu-limit",
    "proxy_cpu_request": f"{_CONFIG}proxy-cpu-request",
    "proxy_memory_limit": f"{_CONFIG}proxy-memory-limit",
    "proxy_memory_request": f"{_CONFIG}proxy-memory-request",
    "proxy_gid": f"{_CONFIG}proxy-gid",
    "proxy_uid": f"{_CONFIG}proxy-uid",
    "proxy_log_level": f"{_CONFIG}proxy-log-level",
    "require_identity_on_inbound_ports": f"{_CONFIG}proxy-require-identity-inbound-ports",
    "skip_inbound_ports": f"{_CONFIG}skip-inbound-ports",
    "skip_outbound_ports": f"{_CONFIG}skip-outbound-ports",
    "wait_before_exit_seconds": f"{_ALPHA}proxy-wait-before-exit-seconds",
}
"""What each parameter of the command is called as an annotation."""
_PORTS: Final = frozenset(
    (
        *("opaque_ports", "require_identity_on_inbound_ports"),
        *("skip_inbound_ports", "skip_outbound_ports"),
    )
)


def _value(name: str, metavar: str, what: str, *, hidden: bool = False) -> Any:
    return typer.Option(name, metavar=metavar, help=what, hidden=hidden)


Text = str | None
Listed = list[str] | None
ProxyImage = Annotated[Text, _value("--proxy-image", "IMAGE", "Image of the proxy.", hidden=True)]
ProxyVersion = Annotated[
    Text, _value("--proxy-version", "TAG", "Tag of the proxy's image.", hidden=True)
]
PullPolicy = Annotated[
    Text,
    _value("--image-pull-policy", "POLICY", "When nodes fetch the proxy's image.", hidden=True),
]
Registry = Annotated[
    Text,
    _value("--registry", "HOST[/PATH]", f"Where images come from (default: ${images.VARIABLE})."),
]
AdminPort = Annotated[Text, _value("--admin-port", "PORT", "Where the proxy serves metrics.")]
ControlPort = Annotated[Text, _value("--control-port", "PORT", "Where the proxy is controlled.")]
InboundPort = Annotated[Text, _value("--inbound-port", "PORT", "Where inbound traffic is brought.")]
OutboundPort = Annotated[
    Text, _value("--outbound-port", "PORT", "Where outbound traffic is brought.")
]
InboundPolicy = Annotated[
    Text,
    _value("--default-inbound-policy", "POLICY", "Whom ports let in that nobody says more of."),
]
ExternalProfiles = Annotated[
    bool,
    typer.Option("--enable-external-profiles", help="Names outside of the cluster have profiles."),
]
NativeSidecar = Annotated[
    bool | None,
    typer.Option(
        "--native-sidecar/--no-native-sidecar",
        help="The proxy is an init container that stays, or one beside the others.",
    ),
]
Ingress = Annotated[bool, typer.Option("--ingress", help="The workload is an ingress.")]
OpaquePorts = Annotated[
    Listed, _value("--opaque-ports", "PORTS", "Ports at which bytes are passed on unread.")
]
CpuLimit = Annotated[Text, _value("--proxy-cpu-limit", "CPU", "CPU that the proxy may use.")]
CpuRequest = Annotated[Text, _value("--proxy-cpu-request", "CPU", "CPU that is kept for it.")]
MemoryLimit = Annotated[Text, _value("--proxy-memory-limit", "SIZE", "Memory that it may use.")]
MemoryRequest = Annotated[
    Text, _value("--proxy-memory-request", "SIZE", "Memory that is kept for it.")
]
ProxyGid = Annotated[Text, _value("--proxy-gid", "ID", "Group of the proxy.")]
ProxyUid = Annotated[Text, _value("--proxy-uid", "ID", "User of the proxy.")]
LogLevel = Annotated[Text, _value("--proxy-log-level", "FILTER", "What the proxy logs.")]
RequireIdentity = Annotated[
    Listed,
    _value(
        "--require-identity-on-inbound-ports", "PORTS", "Ports that ask everybody for an identity."
    ),
]
SkipInbound = Annotated[
    Listed, _value("--skip-inbound-ports", "PORTS", "Inbound ports and ranges past the proxy.")
]
SkipOutbound = Annotated[
    Listed, _value("--skip-outbound-ports", "PORTS", "Outbound ports and ranges past the proxy.")
]
WaitBeforeExit = Annotated[
    Text,
    _value(
        "--wait-before-exit-seconds",
        "SECONDS",
        "How long a proxy that is no native sidecar lives on when its pod is told to end.",
    ),
]


def given(flags: Mapping[str, Any]) -> dict[str, str]:
    """The flags that were used, as text. CliError for ports that are none."""
    used = {
        name: value
        for name, value in flags.items()
        if name in ANNOTATIONS and value not in (None, False)
    }
    if flags.get("native_sidecar") is False:
        used["native_sidecar"] = False
    return {name: _text(name, value) for name, value in used.items()}


def annotations_for(used: Mapping[str, str], values: Values, *, ingress: bool) -> dict[str, str]:
    """What pods have to say for it. CliError for a value that means nothing."""
    from linkerd2_py.charts.paths import look_up
    from linkerd2_py.controlplane.injector import names

    found = {}
    for name, text in used.items():
        annotation = ANNOTATIONS[name]
        if any(
            look_up(values, path) != value for path, value in _meant(annotation, text, flag=name)
        ):
            found[annotation] = text
    if ingress and not look_up(values, "proxy.isIngress"):
        found[names.INJECT] = names.INGRESS
    return found


def images_from(registry: str | None, values: Values) -> dict[str, str]:
    """The annotations of images that come from there: by what they are called at the end."""
    from linkerd2_py.charts.paths import look_up

    chosen = images.registry(registry)
    if not chosen:
        return {}
    found = {}
    for annotation, path in (("proxy-image", "proxy"), ("debug-image", "debugContainer")):
        image = str(look_up(values, f"{path}.image.name", ""))
        moved = images.moved(image, chosen)
        if image and moved != image:
            found[f"{_CONFIG}{annotation}"] = moved
    return found


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name not in _PORTS:
        return str(value)
    listing = ",".join(value)
    from linkerd2_py.controlplane.injector.ports import opaque_ports

    _, strange = opaque_ports(listing, {})
    if strange and listing:
        raise bad_usage(f"{_flag(name)}: {strange[0][:40]!r} is no port and no range of ports")
    return listing


def _meant(annotation: str, text: str, *, flag: str) -> Iterator[tuple[str, Any]]:
    from linkerd2_py.controlplane.injector import names
    from linkerd2_py.controlplane.injector.overrides import OVERRIDES

    if annotation == names.OPAQUE_PORTS:
        yield "proxy.opaquePorts", text
        return
    # The first is what the annotation says; others follow from it.
    one = next(one for one in OVERRIDES if one.annotation == annotation)
    try:
        yield one.value, one.read(text)
    except ValueError as error:
        raise bad_usage(f"{_flag(flag)}: {error}") from error


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
