"""The C programs as typed calls: who answers, who asks, and what the compulsory socket calls cost."""

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from bench import native
from bench.certificates import Certificates
from bench.children import DEADLINE_S, Child, Children
from bench.errors import BenchError

Protocol = Literal["http1", "http2", "tcp", "websocket"]
Asking = Literal["http1", "http2", "grpc", "tcp", "websocket", "tcp-connect"]


def flags(options: Mapping[str, object]) -> Iterator[str]:
    """`{"request_bytes": 5, "close": True, "rate": None}` as `--request-bytes 5 --close`."""
    for name, value in options.items():
        if value is None or value is False or value == ():
            continue
        yield "--" + name.replace("_", "-")
        if value is not True:
            yield ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Answering:
    """What an origin answers; see `build/bench/origin --help`. Delays in microseconds."""

    protocol: Protocol = "http1"
    bytes: int = 128
    messages: int | None = None
    delay_us: int | None = None
    slow_index: int | None = None
    slow_us: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Running servers: one process, one address for each endpoint."""

    addresses: tuple[str, ...]
    child: Child

    @classmethod
    def start(
        cls, children: Children, answering: Answering, *, endpoints: int, core: int
    ) -> "Origin":
        """Listen at `endpoints` free ports."""
        listen = ("127.0.0.1:0",) * endpoints
        words = [*flags({**asdict(answering), "listen": listen})]
        child = children.start("origin", [native.program("origin"), *words], core=core)
        return cls(tuple(json.loads(child.next_line())["addresses"]), child)

    def counts(self) -> tuple[int, ...]:
        """How many requests each endpoint has answered so far."""
        self.child.process.send_signal(signal.SIGUSR1)
        return tuple(json.loads(self.child.next_line())["exchanges"])


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how; see `build/bench/load --help`."""

    protocol: Asking = "http1"
    connections: int = 64
    streams: int | None = None
    messages: int | None = None
    request_bytes: int | None = None
    bytes: int | None = 128
    close: bool = False
    path: str | None = None
    rate: int | None = None
    arrivals: Literal["fixed", "poisson"] | None = None


@dataclass(frozen=True, slots=True)
class LoadTls:
    """The load's side of TLS: whom it asks for, whom it trusts, and who it is."""

    sni: str
    ca: Path
    cert: Path
    key: Path
    resume: bool = False

    @classmethod
    def of(cls, certificates: Certificates, *, resume: bool = False) -> "LoadTls":
        """A client of their server."""
        client = certificates.client
        name, anchors = certificates.server.name, certificates.anchors
        return cls(name, anchors, client.chain, client.key, resume)

    def flags(self) -> Iterator[str]:
        """As `load` takes them."""
        return flags({"tls": True, **asdict(self)})


@dataclass(frozen=True, slots=True)
class Window:
    """How long one pass lasts."""

    seconds: float
    warmup: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The outcome of one pass. Latencies in microseconds; `cpu_ns` of the watched processes, if any were."""

    exchanges: int
    messages: int
    seconds: float
    bytes: int
    errors: int
    own_cpu_ns: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    mean_us: float
    cpu_ns: int | None = None
    handshakes: int = 0
    resumed: int = 0
    error_kinds: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str) -> "LoadResult":
        """From the last line of `load`, which may know more than we ask for."""
        known = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in json.loads(line).items() if key in known})


def load_argv(
    load: Load,
    window: Window,
    *,
    targets: Sequence[str],
    authority: str,
    watch: Sequence[int],
    tls: LoadTls | None = None,
) -> list[str]:
    """The whole command line."""
    words = flags(
        {
            **asdict(load),
            **asdict(window),
            "target": tuple(targets),
            "authority": authority,
            "watch": tuple(watch),
        }
    )
    return [str(native.program("load")), *words, *(tls.flags() if tls else ())]


def run_load(
    children: Children,
    load: Load,
    window: Window,
    *,
    targets: Sequence[str],
    authority: str,
    watch: Sequence[int],
    core: int,
    tls: LoadTls | None = None,
) -> LoadResult:
    """One pass."""
    argv = load_argv(load, window, targets=targets, authority=authority, watch=watch, tls=tls)
    # An open loop never sleeps: the servers on its processor must not have to wait for its time slice to end.
    child = children.start("load", argv, core=core, yields=load.rate is not None)
    try:
        lines = child.remaining_lines(deadline_s=window.seconds + window.warmup + 2 * DEADLINE_S)
        return LoadResult.parse(lines[-1])
    finally:
        children.end(child)


def hold(
    children: Children,
    *,
    connections: int,
    target: str,
    authority: str,
    core: int,
    tls: LoadTls | None = None,
) -> Child:
    """Open connections that have made one exchange each and are idle from then on."""
    argv = [
        str(native.program("load")),
        *flags({"hold": True, "connections": connections, "target": (target,)}),
        *flags({"protocol": "http1", "authority": authority, "bytes": 128}),
        *(tls.flags() if tls else ()),
    ]
    child = children.start("hold", argv, core=core)
    held = json.loads(child.next_line(deadline_s=60))["held"]
    if held != connections:
        children.end(child)
        raise BenchError(f"only {held} of {connections} connections could be held")
    return child


def socket_floor_ns(children: Children, *, seconds: float, core: int) -> float:
    """The calibration: least cost of one exchange's compulsory socket calls, in three tries."""
    argv = [str(native.program("floor")), *flags({"seconds": seconds})]
    found = []
    for _ in range(3):
        child = children.start("floor", argv, core=core)
        lines: list[dict[str, Any]] = [
            json.loads(line) for line in child.remaining_lines(deadline_s=60)
        ]
        children.end(child)
        found += [line["total_ns"] for line in lines if line.get("backend") == "epoll"]
    return float(min(found))
