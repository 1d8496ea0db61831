"""The flags of `install` and `upgrade` that are values: one table, from which options are made and read.

They are Linkerd's, and so is their order: what `--ha` says is below what each of them says, and `--values`
and `--set` are above all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.base import durations
from linkerd2_py.base.quantities import read_quantity
from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.cli import images
from linkerd2_py.cli.errors import bad_usage

IMAGES: Final = ("controllerImage", "debugContainer.image.name", "proxy.image.name")
_POLICIES: Final = (
    *("all-authenticated", "all-unauthenticated", "cluster-authenticated"),
    *("cluster-unauthenticated", "deny", "audit"),
)
_PULL: Final = ("Always", "IfNotPresent", "Never")
Values = dict[str, Any]
Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Flag:
    """One option. What `read` makes of its word stands at each of `paths`; it raises ValueError with what
    is wrong.
    """

    name: str
    kind: Any
    help: str
    paths: tuple[str, ...] = ()
    read: Read = lambda word: word
    metavar: str = "NAME"

    @property
    def parameter(self) -> str:
        """Its name in Python."""
        return self.name.removeprefix("--").replace("-", "_")


def _one_of(allowed: Sequence[str]) -> Read:
    def read(word: str) -> str:
        if word not in allowed:
            raise ValueError(f"{word!r} is not one of {', '.join(allowed)}")
        return word

    return read


def _lifetime(word: str) -> str:
    if durations.parse_duration(word) <= 0:
        raise ValueError(f"{word!r} is no time at all")
    return word


def _quantity(word: str) -> str:
    read_quantity(word)
    return word


def _port(word: int) -> int:
    if not 1 <= word <= 65535:
        raise ValueError(f"{word} is not a port: use 1 to 65535")
    return word


def _ports(words: Sequence[str]) -> str:
    """`80,443,1000-2000`, in one word or in several."""
    found = [one for word in words for one in word.split(",")]
    for one in found:
        ends = one.split("-")
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
            raise ValueError(f"{one!r} is not a port or a range: write 80 or 1000-2000")
        if not 0 <= int(ends[0]) <= int(ends[-1]) <= 65535:
            raise ValueError(f"{one!r} is not a range of ports from 0 to 65535")
    return ",".join(found)


def _not(word: bool) -> bool:
    return not word


_PROXY: Final = (
    Flag("--proxy-image", str, "Image of the proxy.", ("proxy.image.name",), metavar="NAME"),
    Flag("--proxy-version", str, "Its tag.", ("proxy.image.version",), metavar="TAG"),
    Flag(
        "--image-pull-policy",
        str,
        "When nodes fetch images: Always, IfNotPresent, Never.",
        ("imagePullPolicy", "proxy.image.pullPolicy", "debugContainer.image.pullPolicy"),
        _one_of(_PULL),
        "POLICY",
    ),
    Flag(
        "--inbound-port",
        int,
        "Where a pod's inbound traffic is brought to.",
        ("proxy.ports.inbound",),
        _port,
        "PORT",
    ),
    Flag(
        "--outbound-port",
        int,
        "Where its outbound traffic is.",
        ("proxy.ports.outbound",),
        _port,
        "PORT",
    ),
    Flag("--control-port", int, "Where tap asks.", ("proxy.ports.control",), _port, "PORT"),
    Flag(
        "--admin-port", int, "Where probes and metrics are.", ("proxy.ports.admin",), _port, "PORT"
    ),
    Flag(
        "--skip-inbound-ports",
        list[str],
        "Ports and ranges that do not go through the proxy.",
        ("proxyInit.ignoreInboundPorts",),
        _ports,
        "PORTS",
    ),
    Flag(
        "--skip-outbound-ports",
        list[str],
        "The same of what pods call.",
        ("proxyInit.ignoreOutboundPorts",),
        _ports,
        "PORTS",
    ),
    Flag("--proxy-uid", int, "User of the proxy.", ("proxy.uid",), metavar="NUMBER"),
    Flag("--proxy-gid", int, "Group of the proxy.", ("proxy.gid",), metavar="NUMBER"),
    Flag("--proxy-log-level", str, "Log level of proxies.", ("proxy.logLevel",), metavar="LEVEL"),
    Flag(
        "--proxy-cpu-request",
        str,
        "CPU that is kept for a proxy.",
        ("proxy.resources.cpu.request",),
        _quantity,
        "QUANTITY",
    ),
    Flag(
        "--proxy-cpu-limit",
        str,
        "CPU that it may use.",
        ("proxy.resources.cpu.limit",),
        _quantity,
        "QUANTITY",
    ),
    Flag(
        "--proxy-memory-request",
        str,
        "Memory that is kept for it.",
        ("proxy.resources.memory.request",),
        _quantity,
        "QUANTITY",
    ),
    Flag(
        "--proxy-memory-limit",
        str,
        "Memory that it may use.",
        ("proxy.resources.memory.limit",),
        _quantity,
        "QUANTITY",
    ),
    Flag(
        "--enable-external-profiles",
        bool,
        "Names outside of the cluster have profiles.",
        ("proxy.enableExternalProfiles",),
    ),
    Flag(
        "--default-inbound-policy",
        str,
        "Whom ports let in of which nobody says more.",
        ("proxy.defaultInboundPolicy",),
        _one_of(_POLICIES),
        "POLICY",
    ),
    Flag("--registry", str, f"Where images are fetched from (${images.VARIABLE}).", metavar="NAME"),
)
_CONTROL_PLANE: Final = (
    Flag("--ha", bool, "Survive the loss of a node: three replicas of everything."),
    Flag(
        "--linkerd-cni-enabled",
        bool,
        "The CNI plugin writes packet filter rules, not an init container.",
        ("cniEnabled",),
    ),
    Flag(
        "--controller-log-level",
        str,
        "Log level of the control plane.",
        ("controllerLogLevel",),
        metavar="LEVEL",
    ),
    Flag(
        "--controller-replicas",
        int,
        "Pods of each component.",
        ("controllerReplicas",),
        metavar="NUMBER",
    ),
    Flag("--controller-uid", int, "User of its processes.", ("controllerUID",), metavar="NUMBER"),
    Flag("--controller-gid", int, "Group of its processes.", ("controllerGID",), metavar="NUMBER"),
    Flag(
        "--disable-h2-upgrade",
        bool,
        "Proxies keep HTTP/1 among themselves.",
        ("enableH2Upgrade",),
        _not,
    ),
    Flag("--disable-heartbeat", bool, "Accepted, and done: there is no heartbeat here."),
    Flag(
        "--enable-endpoint-slices",
        bool,
        "Accepted, and done: slices say who serves.",
        ("enableEndpointSlices",),
    ),
    Flag(
        "--identity-issuance-lifetime",
        str,
        "How long a proxy's certificate is valid.",
        ("identity.issuer.issuanceLifetime",),
        _lifetime,
        "DURATION",
    ),
    Flag(
        "--identity-clock-skew-allowance",
        str,
        "How far clocks may differ.",
        ("identity.issuer.clockSkewAllowance",),
        _lifetime,
        "DURATION",
    ),
)
_INSTALL: Final = (
    Flag(
        "--cluster-domain",
        str,
        "What names of services end with.",
        ("clusterDomain",),
        metavar="NAME",
    ),
    Flag(
        "--identity-trust-domain",
        str,
        "What all identities end with.",
        ("identityTrustDomain",),
        metavar="NAME",
    ),
    Flag(
        "--identity-external-issuer",
        bool,
        "Somebody else makes the issuer's Secret, as cert-manager.",
        ("identity.issuer.scheme",),
        lambda word: "kubernetes.io/tls" if word else "linkerd.io/tls",
    ),
    Flag(
        "--identity-external-ca",
        bool,
        "Somebody else makes the bundle of anchors, as trust-manager.",
        ("identity.externalCA",),
    ),
)
FLAGS: Final = (*_CONTROL_PLANE, *_INSTALL, *_PROXY)
UPGRADE_FLAGS: Final = (*_CONTROL_PLANE, *_PROXY)
CNI_FLAGS: Final = (
    Flag("--cni-image", str, "Image of the plugin.", ("image.name",), metavar="NAME"),
    Flag("--cni-image-version", str, "Its tag.", ("image.version",), metavar="TAG"),
    Flag("--cni-log-level", str, "Log level of the plugin.", ("logLevel",), metavar="LEVEL"),
    Flag("--dest-cni-bin-dir", str, "Where nodes have plugins.", ("destCNIBinDir",), metavar="DIR"),
    Flag("--dest-cni-net-dir", str, "Where they list them.", ("destCNINetDir",), metavar="DIR"),
    Flag("--inbound-port", int, "The proxy's inbound port.", ("inboundProxyPort",), _port, "PORT"),
    Flag("--outbound-port", int, "Its outbound port.", ("outboundProxyPort",), _port, "PORT"),
    Flag("--control-port", int, "Where tap asks.", ("proxyControlPort",), _port, "PORT"),
    Flag("--admin-port", int, "Where probes and metrics are.", ("proxyAdminPort",), _port, "PORT"),
    Flag(
        "--redirect-ports",
        list[str],
        "Ports that go through the proxy (default: all).",
        ("portsToRedirect",),
        _ports,
        "PORTS",
    ),
    Flag(
        "--skip-inbound-ports",
        list[str],
        "Ports and ranges that do not.",
        ("ignoreInboundPorts",),
        _ports,
        "PORTS",
    ),
    Flag(
        "--skip-outbound-ports",
        list[str],
        "The same of what pods call.",
        ("ignoreOutboundPorts",),
        _ports,
        "PORTS",
    ),
    Flag("--proxy-uid", int, "User of the proxy.", ("proxyUID",), metavar="NUMBER"),
    Flag("--proxy-gid", int, "Group of the proxy.", ("proxyGID",), metavar="NUMBER"),
    Flag(
        "--priority-class-name",
        str,
        "PriorityClass of its pods.",
        ("priorityClassName",),
        metavar="NAME",
    ),
    Flag("--use-wait-flag", bool, "iptables waits for its lock.", ("useWaitFlag",)),
    Flag("--registry", str, f"Where images are fetched from (${images.VARIABLE}).", metavar="NAME"),
)
"""Of `install-cni`."""
_QUANTITIES: Final = ("cpu", "memory")


def values_of_flags(
    said: Mapping[str, Any],
    *,
    below: Mapping[str, Any],
    flags: Sequence[Flag] = FLAGS,
    named: Sequence[str] = IMAGES,
) -> Values:
    """The values that were said, to be laid over those `below`. `named`: which of them
    name images. CliError that names a flag.
    """
    made: Values = {}
    for flag in flags:
        if flag.name not in said:
            continue
        try:
            word = flag.read(said[flag.name])
        except ValueError as error:
            raise bad_usage(f"{flag.name}: {error}") from error
        for path in flag.paths:
            put(made, path, word)
    registry = images.registry(said.get("--registry"))
    if registry:
        for path in named:
            if name := str(look_up(made, path) or look_up(below, path) or ""):
                put(made, path, images.moved(name, registry))
    return made


def check_resources(values: Mapping[str, Any]) -> None:
    """CliError for a limit below what is requested: an API server would refuse every pod."""
    for kind in _QUANTITIES:
        found = look_up(values, f"proxy.resources.{kind}")
        request, limit = (str((found or {}).get(name) or "") for name in ("request", "limit"))
        try:
            too_little = request and limit and read_quantity(request) > read_quantity(limit)
        except ValueError as error:
            raise bad_usage(f"proxy.resources.{kind}: {error}") from error
        if too_little:
            raise bad_usage(
                f"The {kind} limit {limit!r} cannot be lower than the {kind} request {request!r}"
            )
