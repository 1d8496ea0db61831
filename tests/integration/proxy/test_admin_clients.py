"""Who may use a proxy's admin server, and that nobody can keep the others from it."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from tests.support.certified import Certified, certified, name_in
from tests.support.origin import talk
from tests.support.sidecar import Sidecar, sidecar
from tests.support.tls_pod import client_side
from tests.support.wait import eventually_async, in_time

CONNECTIONS_MAX = 100
ASK = b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n"


def request(words: str, *fields: str, body: str = "") -> bytes:
    head = [f"{words} HTTP/1.1", "connection: close", f"content-length: {len(body)}", *fields]
    return ("\r\n".join(head) + f"\r\n\r\n{body}").encode()


async def drop(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ended(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass
    return True


@pytest.mark.parametrize(
    "sent", [b"", b"GET /live HTTP/1.1\r\nhost: ", ASK, b"PUT /proxy-log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"]
)  # fmt: skip
async def test_who_comes_is_answered_however_many_others_are_there(sent: bytes) -> None:
    """Silent ones, ones in the middle of a head, idle ones, and ones in the middle of a body."""
    async with sidecar() as proxy:
        others = [await asyncio.open_connection(*proxy.admin) for _ in range(CONNECTIONS_MAX + 5)]
        for _, writer in others:
            writer.write(sent)
        for _ in range(3):
            answer = await in_time(talk(proxy.admin, request("GET /live", "host: localhost")), 30)
            assert answer.endswith(b"live\n")
        # Who came first made room, and nobody else has to.
        await in_time(asyncio.gather(*(ended(reader) for reader, _ in others[:5])), 30)
        assert not others[-1][0].at_eof()
        await drop(*(writer for _, writer in others))


async def test_a_stranger_s_name_is_not_answered() -> None:
    async with sidecar(ADMIN_HOSTS="Metrics.Shop, web.") as proxy:
        for name, status in (
            ("attacker.example", b"403"),
            ("web.attacker.example", b"403"),
            ("metrics.shop:4191", b"200"),
            ("web", b"200"),
            (f"{proxy.admin[0]}:{proxy.admin[1]}", b"200"),
        ):
            answer = await talk(proxy.admin, request("GET /metrics", f"host: {name}"))
            assert answer.split()[1] == status, name
            # The name in the target is what counts, as for every server.
            answer = await talk(
                proxy.admin, request(f"GET http://{name}/metrics", "host: localhost")
            )
            assert answer.split()[1] == status, name


async def test_what_changes_the_proxy_needs_the_token(tmp_path: Path) -> None:
    file = tmp_path / "admin-token"
    file.write_text("secret\n")
    async with sidecar(ADMIN_TOKEN_FILE=str(file), SHUTDOWN_ENDPOINT_ENABLED="true") as proxy:

        async def status(words: str, *fields: str) -> bytes:
            asked = request(words, "host: localhost", *fields, body="debug")
            return (await talk(proxy.admin, asked)).split()[1]

        good, bad = "Authorization: Bearer secret", "Authorization: Bearer guess"
        for fields in ((), (bad,)):
            assert await status("PUT /proxy-log-level", *fields) == b"401"
            assert await status("POST /shutdown", *fields) == b"401"
        assert await status("GET /proxy-log-level") == b"200"
        assert not proxy.proxy.ending.is_set()
        assert await status("PUT /proxy-log-level", good) == b"204"
        assert await status("POST /shutdown", good) == b"200"
        await eventually_async(proxy.proxy.ending.is_set)


# ---- inbound policy

STRANGER = "127.0.0.2"
"""Who comes from 127.0.0.1 is of the pod itself."""


async def asked(proxy: Sidecar, path: str, *, tls: ssl.SSLContext | None = None) -> int:
    named = {} if tls is None else {"ssl": tls, "server_hostname": name_in("voting")}
    reader, writer = await asyncio.open_connection(*proxy.admin, local_addr=(STRANGER, 0), **named)
    writer.write(request(f"GET {path}", "host: localhost"))
    answer = await in_time(reader.read(), 30)
    writer.close()
    return int(answer.split()[1])


def meshed(mesh: Certified, folder: Path, account: str | None) -> ssl.SSLContext:
    return client_side(
        folder,
        issuer=mesh.issuer,
        anchors=mesh.anchors,
        identity=None if account is None else name_in(account),
    )


@pytest.mark.parametrize("policy", ["all-authenticated", "deny", "all-unauthenticated"])
async def test_policy_lets_in_to_all_but_what_is_probed(policy: str, tmp_path: Path) -> None:
    async with certified(tmp_path) as mesh:
        settings = {**mesh.with_key("voting"), "INBOUND_DEFAULT_POLICY": policy}
        async with sidecar(**settings) as proxy:
            await eventually_async(lambda: proxy.proxy.ready)
            web, nobody = meshed(mesh, tmp_path, "web"), meshed(mesh, tmp_path, None)
            for path in ("/live", "/ready"):
                for tls in (None, nobody, web):
                    assert await asked(proxy, path, tls=tls) == 200
            met = [await asked(proxy, "/metrics", tls=tls) for tls in (None, nobody, web)]
            shown = (await talk(proxy.admin, request("GET /metrics", "host: localhost"))).decode()
    denied = {"all-authenticated": [403, 403, 200], "deny": [403] * 3}
    assert met == denied.get(policy, [200] * 3)
    port = f'target_port="{proxy.admin[1]}"'
    if policy == "all-authenticated":
        counted = f'inbound_http_authz_allow_total{{{port},tls="true",client_id="{name_in("web")}"'
        assert counted in shown
        assert f"inbound_http_authz_deny_total{{{port}," in shown


async def test_metrics_may_be_for_everybody() -> None:
    denied = {"INBOUND_DEFAULT_POLICY": "deny"}
    for open_to_all, status in (("true", 200), ("false", 403)):
        async with sidecar(ADMIN_SHOWS_METRICS=open_to_all, **denied) as proxy:
            assert await asked(proxy, "/metrics") == status
            assert await asked(proxy, "/listeners") == 403
