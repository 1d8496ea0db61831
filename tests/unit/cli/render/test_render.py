"""Rows to text, against golden files; L5D_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkerd2_py.cli.checks.run import Result
from linkerd2_py.cli.commands.diagnostics import endpoint_table
from linkerd2_py.cli.render import edges, live, routes, sides, stat
from linkerd2_py.cli.render.check import CheckLines, as_json
from linkerd2_py.cli.render.get import GetStyle, pod_table, service_table, workload_table
from linkerd2_py.cli.render.paint import Paint
from linkerd2_py.cli.render.table import Cell, Column, clip, render_table, width_of
from tests.support.golden import assert_golden

PLAIN = Paint()


def _golden(name: str, text: str) -> None:
    assert_golden(f"cli/{name}", text + "\n")


def _row(kind: str, name: str, *, meshed: int | None = 1, **stats: Any) -> dict[str, Any]:
    numbers = {
        "success": 100.0,
        "failure": 0.0,
        "success_rate": 1.0,
        "rps": 1.66,
        "latency_ms_p50": 1,
        "latency_ms_p95": 20,
        "latency_ms_p99": 300,
        "tls_percent": 50.0,
        "tcp_open_connections": 3,
        "tcp_read_bytes_rate": 1234.5,
        "tcp_write_bytes_rate": 0.0,
    }
    return {
        "namespace": "emojivoto",
        "type": kind,
        "name": name,
        "status": "",
        "meshed": meshed,
        "running": meshed,
        "failed": 0,
        "server": "",
        "refused_rps": None,
        "apex": "",
        "leaf": "",
        "weight": "",
        "stats": None if stats.get("idle") else numbers | stats,
    }


FAILING: dict[str, Any] = {"success": 80.0, "failure": 20.0, "success_rate": 0.8}
TCP_ONLY: dict[str, Any] = {"success": 0.0, "failure": 0.0, "success_rate": 0.0, "rps": 0.0}
DEPLOYMENTS = [
    _row("deployment", "voting", meshed=2, **FAILING),
    _row("deployment", "chat", **TCP_ONLY),
    _row("deployment", "web"),
    _row("deployment", "idle", meshed=0, idle=True),
]
AUTHORITIES = [_row("authority", "web-svc.emojivoto.svc.cluster.local:80", meshed=None)]


def _tables(**tables: list[dict[str, Any]]) -> dict[str, list[stat.Row]]:
    return stat.collect_rows(
        [{"tables": [{"type": kind, "rows": rows} for kind, rows in tables.items()]}]
    )


def test_stat_table() -> None:
    text = stat.render_tables(_tables(deployment=DEPLOYMENTS), style=stat.StatStyle())
    _golden("stat_deploy.golden", text)


def test_stat_of_several_types_wide_over_all_namespaces() -> None:
    tables = _tables(deployment=DEPLOYMENTS, authority=AUTHORITIES, pod=[])
    style = stat.StatStyle(wide=True, namespaces=True)
    _golden("stat_all_wide.golden", stat.render_tables(tables, style=style))


def test_stat_json() -> None:
    document = stat.as_json(_tables(deployment=DEPLOYMENTS, authority=AUTHORITIES))
    _golden("stat_json.golden", json.dumps(document, indent=2))


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0%"), (0.9, "0%"), (99.6, "99%"), (100 - 1e-12, "100%"), (100.0, "100%"), (None, "-")],
)
def test_tls_is_100_percent_only_of_all_requests(share: float | None, shown: str) -> None:
    rows = _tables(deployment=[_row("deployment", "web", tls_percent=share)])
    heads, cells = stat.render_tables(rows, style=stat.StatStyle()).splitlines()
    assert cells.split()[heads.split().index("TLS")] == shown


def test_rows_of_several_answers_appear_once() -> None:
    answers = [{"tables": [{"type": "pod", "rows": [_row("pod", name)]}]} for name in "bab"]
    assert [row["name"] for row in stat.collect_rows(answers)["pod"]] == ["a", "b"]


def test_failures_are_red_on_a_terminal_and_keep_their_column() -> None:
    style = stat.StatStyle(paint=Paint(enabled=True))
    painted = stat.render_tables(_tables(deployment=DEPLOYMENTS), style=style)
    assert "\x1b[31m80.00%\x1b[0m" in painted
    plain = stat.render_tables(_tables(deployment=DEPLOYMENTS), style=stat.StatStyle())
    assert painted.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain


def test_table_counts_columns_of_wide_characters() -> None:
    assert [width_of(text) for text in ("abc", "🍩", "e\u0301", "√")] == [3, 2, 1, 1]
    text = render_table([Column("A", right=False), Column("B")], [["🍩", "1"], ["abc", Cell("22")]])
    assert text == "A      B\n🍩     1\nabc   22"


def _pod(number: int, **different: Any) -> dict[str, Any]:
    return {
        "namespace": "emojivoto",
        "name": f"web-{number}",
        "owner": "deploy/web",
        "status": "Running",
        "ready": True,
        "meshed": True,
        "proxy_ready": True,
        "proxy_version": "0.4.0",
        "restarts": 0,
        "ip": "127.0.16.1",
        "ip6": "",
        "identity": "web.emojivoto.serviceaccount.identity.linkerd.cluster.local",
        "admin_addr": "127.0.16.1:4191",
        "uptime_s": 61.0,
        "problem": "",
        "last_exit": "",
        "since_last_exit_s": None,
        **different,
    }


BARE = {"meshed": False, "identity": "", "admin_addr": None, "proxy_version": "", "uptime_s": None}
SILENT = {
    "ready": False,
    "problem": "nothing answers on 127.0.16.3:80 (the program listens on 127.0.0.1:80)",
}
CRASHED = {
    "restarts": 3,
    "last_exit": "program exited with status 3: no ballots",
    "since_last_exit_s": 125.0,
}


def test_pods() -> None:
    _golden(
        "get_pods.golden", pod_table([_pod(0), _pod(1, **BARE)], style=GetStyle(namespaces=True))
    )


def test_a_pod_that_is_not_ready_and_one_that_was_started_again_say_why() -> None:
    pods = [_pod(0), _pod(1, **SILENT), _pod(2, **CRASHED)]
    _golden("get_pods_reasons.golden", pod_table(pods))


def test_wide_pods() -> None:
    pods = [_pod(0, ip6="fd6c:3564::1"), _pod(1, **BARE)]
    _golden("get_pods_wide.golden", pod_table(pods, style=GetStyle(wide=True, prefix="po/")))


def test_deployments() -> None:
    found = {
        "namespace": "emojivoto",
        "name": "web",
        "labels": {"app": "web"},
        "replicas": 3,
        "ready": 2,
        "meshed": True,
        "restarts": 4,
    }
    _golden("get_deployments.golden", workload_table([found], style=GetStyle(wide=True)))


def _service(name: str, *, ips: tuple[str, ...] = (), headless: bool = False) -> dict[str, Any]:
    ports = [
        {"port": 80, "target_port": 8080, "opaque": False},
        {"port": 9000, "target_port": 9000, "opaque": True},
    ]
    return {
        "namespace": "emojivoto",
        "name": name,
        "cluster_ips": list(ips),
        "headless": headless,
        "labels": {"app": "chat"},
        "ports": ports,
    }


def test_services() -> None:
    _golden("get_services.golden", service_table([_service("chat-svc")]))


def test_services_with_addresses() -> None:
    services = [
        _service("chat-svc", ips=("10.209.128.16", "fd6c:3564::10")),
        _service("peers", headless=True),
        _service("starting"),
    ]
    _golden(
        "get_services_addressed.golden", service_table(services, style=GetStyle(namespaces=True))
    )
    _golden("get_services_wide.golden", service_table(services, style=GetStyle(wide=True)))


def test_headless_services_alone_have_the_column_too() -> None:
    text = service_table([_service("peers", headless=True)])
    assert [line.split() for line in text.splitlines()] == [
        ["NAME", "CLUSTER-IP", "PORTS"],
        ["peers", "None", "80,9000/opaque"],
    ]


def test_endpoints() -> None:
    found = {"namespace": "n", "ip": "127.0.16.1", "port": 8080, "pod": "web-0", "service": "web"}
    _golden("endpoints.golden", endpoint_table([found]))


def _edge(src: str, dst: str, *, server: str = "", reason: str = "") -> dict[str, Any]:
    suffix = "serviceaccount.identity.linkerd.cluster.local"
    return {
        "src": {"namespace": "emojivoto", "type": "deployment", "name": src},
        "dst": {"namespace": "emojivoto", "type": "deployment", "name": dst},
        "client_id": f"{src}.emojivoto.{suffix}",
        "server_id": server and f"{server}.emojivoto.{suffix}",
        "no_identity_msg": reason,
    }


EDGES = [
    _edge("vote-bot", "web", server="web"),
    _edge("web", "legacy", reason="Not Provided By Service Discovery"),
    _edge("web", "voting", server="voting"),
    _edge("web", "voting", server="voting-old"),
]


def test_edges_as_table() -> None:
    _golden("edges_table.golden", edges.edge_table(EDGES, wide=False))


def test_edges_wide() -> None:
    _golden("edges_wide.golden", edges.edge_table(EDGES, wide=True))


def test_edges_json() -> None:
    _golden("edges_json.golden", json.dumps(edges.as_json(EDGES), indent=2))


def test_only_the_mark_of_a_secured_edge_is_painted() -> None:
    painted = edges.edge_table(EDGES[:2], wide=False, paint=Paint(enabled=True))
    assert painted.count("\x1b[32m√\x1b[0m") == 1
    assert painted.count("\x1b") == 2


RESULTS = [
    Result("linkerd-api", "control plane is known", "success"),
    Result("linkerd-data-plane", "pods are running", "error", "1 of 2 pods", "see the logs"),
    Result("linkerd-data-plane", "proxies are ready", "warning", "none is meshed"),
    Result("linkerd-version", "versions match", "success"),
]


def _check_text(results: list[Result], *, short: bool) -> str:
    lines = CheckLines(paint=PLAIN, short=short)
    text = [line for result in results for line in lines.lines(result)]
    return "\n".join([*text, *lines.verdict(results)])


def test_check_table() -> None:
    _golden("check_table.golden", _check_text(RESULTS, short=False))


def test_check_short_shows_what_is_wrong() -> None:
    _golden("check_short.golden", _check_text(RESULTS, short=True))


def test_check_short_of_a_healthy_mesh_is_one_line() -> None:
    assert _check_text(RESULTS[:1], short=True) == "Status check results are √"


def test_check_json() -> None:
    _golden("check_json.golden", json.dumps(as_json(RESULTS), indent=2))


WORDS = live.Words(paint=PLAIN, program="linkerd2-py")
DASHBOARD = "http://127.0.0.1:50750/"
LINKS = {"web-svc": "http://127.0.0.1:7080/", "feed-svc": "tcp://127.0.0.1:7081"}


def test_where_to_look_in_the_sample() -> None:
    lines = live.where_to_look(
        LINKS, dashboard=DASHBOARD, sample=True, words=WORDS, namespace="emojivoto"
    )
    _golden("local_sample.golden", "\n".join(lines))


def test_where_to_look_in_another_mesh() -> None:
    lines = live.where_to_look(
        LINKS, dashboard=DASHBOARD, sample=False, words=WORDS, namespace="shop"
    )
    _golden("local_links.golden", "\n".join(lines))


def test_the_hints_fit_a_narrow_terminal() -> None:
    words = live.Words(paint=PLAIN, program=".venv/bin/linkerd2-py")
    lines = live.where_to_look(
        LINKS, dashboard=DASHBOARD, sample=True, words=words, namespace="emojivoto"
    )
    assert "  .venv/bin/linkerd2-py stat deploy" in lines
    assert max(map(len, lines)) <= 90


def test_a_frame_is_cut_to_the_terminal() -> None:
    stop = live.STOP_HINT
    assert live.frame("x" * 100, size=live.Size(30, 24)) == ["x" * 29, "", stop]
    assert live.frame("", size=live.Size(80, 24))[0] == "waiting for traffic…"
    assert live.frame("a\nb\nc", size=live.Size(80, 3)) == ["a", "b"]


def test_cutting_a_line_counts_what_is_seen_and_closes_colours() -> None:
    red = Paint(enabled=True).red("seven")
    assert clip(red, width=5) == red
    assert clip(f"{red} more", width=5) == f"{red}\x1b[0m"
    assert clip("🍩🍩", width=3) == "🍩"


def _route(name: str, success: float | None = 1.0, **stats: Any) -> dict[str, Any]:
    numbers = {
        "success_rate": success,
        "rps": 1.5,
        "actual_success_rate": 0.5,
        "actual_rps": 3.0,
        "latency_ms_p50": 1,
        "latency_ms_p95": 20,
        "latency_ms_p99": 300,
    }
    return {
        "route": name,
        "service": "voting-svc",
        "authority": "voting-svc.emojivoto.svc.cluster.local:8080",
        "stats": None if success is None else numbers | stats,
    }


def _routes(name: str = "voting", *more: dict[str, Any]) -> dict[str, Any]:
    rows = [_route("VoteDoughnut", 0.0), _route("VoteFire"), _route("VoteNever", None), *more]
    rows.append(_route("[DEFAULT]", 0.25, actual_success_rate=None, actual_rps=None))
    return {"type": "deployment", "namespace": "emojivoto", "name": name, "rows": rows}


def test_routes() -> None:
    hostile = _route("\x1b[2J<b>\n")
    tables = [_routes("voting", hostile)]
    _golden("routes.golden", routes.render_tables(tables, style=routes.RoutesStyle()))


def test_routes_of_several_with_what_retries_did() -> None:
    style = routes.RoutesStyle(actual=True, outbound=True, namespaces=True)
    _golden("routes_wide.golden", routes.render_tables([_routes(), _routes("web")], style=style))


@pytest.mark.parametrize("outbound", [False, True])
def test_routes_as_json(outbound: bool) -> None:
    document = routes.as_json([_routes()], style=routes.RoutesStyle(outbound=outbound))
    name = "routes_to_json.golden" if outbound else "routes_json.golden"
    _golden(name, json.dumps(document, indent=2))


def test_stat_of_policies_and_splits() -> None:
    split = [
        {
            **_row("trafficsplit", "web", meshed=None),
            "apex": "web-svc",
            "leaf": leaf,
            "weight": weight,
        }
        for leaf, weight in (("web-v1", "900m"), ("web-v2", "100m"))
    ]
    route = _row("httproute", "votes", meshed=None, **FAILING)
    tables = _tables(
        server=[{**_row("server", "web-http", meshed=None), "refused_rps": 2.5}],
        serverauthorization=[_row("serverauthorization", "all", meshed=None)],
        authorizationpolicy=[_row("authorizationpolicy", "\x1b[31mred", meshed=None, idle=True)],
        httproute=[{**route, "server": name, "refused_rps": 0.0} for name in ("a", "b")],
        trafficsplit=split,
    )
    _golden("stat_policies.golden", stat.render_tables(tables, style=stat.StatStyle(wide=True)))
    _golden("stat_policies_json.golden", json.dumps(stat.as_json(tables), indent=2))


def _requests(**different: Any) -> dict[str, Any]:
    numbers = {"success_rate": 0.995, "rps": 12.345, "timeout_rate": 0.01}
    latencies = {"latency_ms_p50": 1, "latency_ms_p95": 20, "latency_ms_p99": 300}
    return {**numbers, **latencies, **different}


def test_inbound() -> None:
    named = {"namespace": "emojivoto", "name": "voting"}
    default = {"kind": "default", "name": "all-unauthenticated"}
    rows = [
        {**named, "server": server, "port": "8080", "route": route, "stats": _requests()}
        for server, route in (
            (default, {"kind": "default", "name": "default"}),
            (default, {"kind": "default", "name": "probe"}),
            ({"kind": "server", "name": "grpc"}, {"kind": "GRPCRoute", "name": "votes\x07"}),
        )
    ]
    _golden("stat_inbound.golden", sides.inbound_table(rows))
    _golden("stat_inbound_json.golden", json.dumps(sides.inbound_json(rows), indent=2))


def test_outbound() -> None:
    named = {"namespace": "emojivoto", "name": "web", "service": "voting-svc", "port": "8080"}
    backends = [{"name": f"v{n}", "port": "8080", "stats": _requests(rps=n)} for n in (1, 2)]
    rows = [
        {
            **named,
            "route_kind": "HTTPRoute",
            "route": "votes",
            "stats": _requests(),
            "retry_rate": 0.25,
            "backends": backends,
        },
        {
            **named,
            "route_kind": "default",
            "route": "http",
            "stats": _requests(success_rate=1.0),
            "retry_rate": None,
            "backends": backends[:1],
        },
    ]
    _golden("stat_outbound.golden", sides.outbound_table(rows))
    _golden("stat_outbound_json.golden", json.dumps(sides.outbound_json(rows), indent=2))


def test_authorizations_with_their_traffic() -> None:
    nobody = {"kind": "", "name": ""}
    default = {"kind": "default", "name": "all-unauthenticated"}
    rows = [
        {"route": route, "server": server, "authorization": by, "refused_rps": rps, "stats": stats}
        for route, server, by, rps, stats in (
            ({"kind": "default", "name": "default"}, default, default, 0.0, _requests()),
            (
                {"kind": "HTTPRoute", "name": "votes"},
                {"kind": "server", "name": "web-http"},
                nobody,
                4.0,
                None,
            ),
        )
    ]
    _golden("authz_stats.golden", sides.authz_table(rows))
    _golden("authz_stats_json.golden", json.dumps(sides.authz_json(rows), indent=2))
