"""TLS: what it adds between two proxies, handshakes where clients come in, bodies, and idle connections.

Everywhere TLS 1.3, P-256 certificates below one issuer, and both ends prove who they are, except where a name
says otherwise.
"""

from dataclasses import dataclass, replace

from bench.errors import BenchError, Unavailable
from bench.programs import Answering, Load
from bench.results import Sample
from bench.scenarios.idle import Idle
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Rig, Scenario
from bench.scenarios.traffic import Traffic, TrafficStand, new_certificates, with_difference
from bench.subjects.subject import Running, Subject

_MIB = 1 << 20
_PAIRS = ("ours-pair", "nginx-pair", "haproxy-pair", "nghttpx-pair", "envoy-pair", "traefik-pair")
_TAKERS = ("ours-inbound", "nginx", "haproxy", "nghttpx", "envoy", "traefik")


@dataclass(frozen=True, slots=True)
class Leg(Traffic):
    """Each subject is a pair of proxies, put up twice: plain, and with mutual TLS between the two. A pass
    asks both; what TLS adds is the difference.
    """

    def build(self, rig: Rig) -> "LegStand":
        """The servers, without subjects."""
        return LegStand(rig, self)


class LegStand(TrafficStand):
    """`running` are the chains with TLS, `plain` those without."""

    def __init__(self, rig: Rig, scenario: Leg) -> None:
        TrafficStand.__init__(self, rig, scenario)
        self.pair_tls = new_certificates(rig)
        self.plain: dict[str, Running] = {}

    def put_up(self, subject: Subject) -> None:
        """Both chains, or note why not."""
        try:
            self.plain[subject.name] = subject.start(self.site())
            self.running[subject.name] = subject.start(replace(self.site(), pair_tls=self.pair_tls))
        except Unavailable as reason:
            self.absent[subject.name] = str(reason)
        except BenchError as error:
            self.failed[subject.name] = str(error)

    def sample(self, subject: Subject) -> Sample:
        """The figures are those with TLS; what it adds, and what it is added to, stand beside them.

        Half of the plain pass comes before, half after: what the machine does more and more, or less and
        less, falls on both.
        """
        plain, secured = self.plain[subject.name], self.running[subject.name]
        before = self.measure(plain, share=0.5)
        between = self.measure(secured)
        after = self.measure(plain, share=0.5)
        return with_difference(between, (before, after))


_LEG_COLUMNS = (
    "added_us_per_exchange",
    "plain_us_per_exchange",
    "cpu_us_per_exchange",
    "exchanges_per_s",
    *TRAFFIC_COLUMNS[2:],
)
_HANDSHAKE_COLUMNS = ("exchanges_per_s", "cpu_us_per_exchange", "resumed", *TRAFFIC_COLUMNS[2:])
_BULK_COLUMNS = ("exchanges_per_s", "mb_per_s", "cpu_ms_per_gb", *TRAFFIC_COLUMNS[2:])

SCENARIOS: tuple[Scenario, ...] = (
    Leg(
        "tls-leg",
        "HTTP/1 keep-alive, 64 connections, 128 B, through two proxies: "
        "what mutual TLS between them adds to the CPU of both",
        _PAIRS,
        cost="added_us_per_exchange",
        columns=_LEG_COLUMNS,
    ),
    Leg(
        "tls-leg-1",
        "the same with 1 connection: nothing shares a record, a call or a wake-up with anything else",
        ("ours-pair", "nginx-pair", "haproxy-pair"),
        load=Load(connections=1),
        cost="added_us_per_exchange",
        columns=_LEG_COLUMNS,
    ),
    Leg(
        "tls-leg-1m",
        "HTTP/1 keep-alive, 8 connections, answers of 1 MiB, "
        "through two proxies with mutual TLS between them; CPU of both",
        ("ours-pair", "nginx-pair", "haproxy-pair", "envoy-pair"),
        load=Load(connections=8, bytes=_MIB),
        answering=Answering(bytes=_MIB),
        unit="GB",
        cost="cpu_ms_per_gb",
        columns=("added_ms_per_gb", "plain_ms_per_gb", *_BULK_COLUMNS),
    ),
    Traffic(
        "tls-handshakes",
        "HTTP/1 over mutual TLS, a new connection and a full handshake for each request, 32 at a time; "
        "one-sided: clients are not asked who they are",
        (*_TAKERS, "nginx-one-sided"),
        load=Load(connections=32, close=True),
        tls=True,
        columns=_HANDSHAKE_COLUMNS,
    ),
    Traffic(
        "tls-resumed",
        "the same with clients that resume their session where they were given a ticket",
        ("ours-inbound", "nginx", "haproxy", "envoy"),
        load=Load(connections=32, close=True),
        tls=True,
        resume=True,
        columns=_HANDSHAKE_COLUMNS,
    ),
    Traffic(
        "tls-body-1m",
        "HTTP/1 keep-alive over mutual TLS, 8 connections, answers of 1 MiB",
        _TAKERS,
        load=Load(connections=8, bytes=_MIB),
        answering=Answering(bytes=_MIB),
        tls=True,
        unit="GB",
        cost="cpu_ms_per_gb",
        columns=_BULK_COLUMNS,
    ),
    Idle(
        "tls-idle",
        "memory with 0, 1000 and 3000 idle connections over mutual TLS; each has made one exchange",
        _TAKERS,
        cost="rss_kib_per_connection",
        columns=(
            "rss_kib",
            "private_kib",
            "rss_1k_kib",
            "rss_3k_kib",
            "rss_kib_per_connection",
            "kib_per_connection",
        ),
        most_passes=1,
        many=3000,
        tls=True,
    ),
)
