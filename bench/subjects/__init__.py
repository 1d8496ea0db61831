"""Everyone who may stand between client and server, by name."""

from collections.abc import Mapping
from pathlib import Path

from bench.native import ROOT
from bench.subjects.direct import Direct
from bench.subjects.envoy import Envoy, EnvoyPair
from bench.subjects.haproxy import Haproxy
from bench.subjects.nghttpx import Nghttpx
from bench.subjects.nginx import Nginx
from bench.subjects.ours import Given, Ours, OursInbound, OursPair, OursTapped
from bench.subjects.pair import Pair
from bench.subjects.relay import Relay
from bench.subjects.subject import Subject
from bench.subjects.traefik import Traefik

_ALL: tuple[Subject, ...] = (
    Ours(),
    Ours("ours-changing", updates=100),
    Ours("ours-unmetered", package=ROOT / "build" / "unmetered"),
    Ours("ours-routed", mesh="ours-routes.yaml"),
    OursInbound(),
    OursInbound("ours-policed", mesh="ours-policy.yaml"),
    OursInbound("ours-scraped"),
    OursTapped(),
    OursPair(),
    Nginx(),
    Nginx("nginx-least", balance="random two least_conn;"),
    Nginx("nginx-one-sided", asks_clients=False),
    Pair("nginx-pair", Nginx(), family="nginx"),
    Haproxy(),
    Pair("haproxy-pair", Haproxy(), family="haproxy"),
    Haproxy("haproxy-least", balance="leastconn"),
    Nghttpx(),
    Pair("nghttpx-pair", Nghttpx(), family="nghttpx"),
    Envoy(),
    Envoy("envoy-least", balance="LEAST_REQUEST"),
    Envoy("envoy-routed", routes="envoy-routes.yaml"),
    Envoy("envoy-policed", filters="envoy-policy.yaml"),
    EnvoyPair("envoy-pair"),
    Traefik(),
    Pair("traefik-pair", Traefik(), family="traefik"),
    Ours("ours-by-wrk"),
    Ours("ours-by-h2load"),
    Relay("relay"),
    Relay("relay-splice", mode="splice"),
    Relay("relay-spin", spin_us=50),
    Direct(),
)

PEERS = ("nginx", "haproxy", "nghttpx", "envoy", "traefik")
"""Families that `--peers` may name."""


def subjects(given: Path | None = None) -> Mapping[str, Subject]:
    """By name; with the binary that was given, if one was."""
    extra = (Given(given),) if given else ()
    return {subject.name: subject for subject in (*_ALL, *extra)}
