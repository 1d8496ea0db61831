"""Proxies that are certified by the real identity service: when they serve, and what keeps them serving."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from linkerd2_py.base.tasks import spawn
from linkerd2_py.proxy.identity.certify import IdentityError
from linkerd2_py.proxy.listeners import ListenError
from tests.support.certified import Certified, certified, name_in
from tests.support.origin import origin, talk
from tests.support.processes import Child
from tests.support.raw_socket import End, RawConnection
from tests.support.sidecar import Sidecar, environment, sidecar
from tests.support.wait import eventually_async, in_time

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
REFRESHES = 'control_identity_cert_refreshes_total{result="ok"}'


def answer(_head: bytes, _body: bytes) -> bytes:
    return OK


async def status(proxy: Sidecar, path: str) -> bytes:
    return (await proxy.ask_admin("GET", path)).split(b"\r\n")[0]


async def metric(proxy: Sidecar, line: str) -> float:
    text = (await proxy.ask_admin("GET", "/metrics")).decode()
    found = [each for each in text.splitlines() if each.startswith(f"{line} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def is_ready(proxy: Sidecar) -> bool:
    return (await status(proxy, "/ready")).endswith(b"200 OK")


def damage(path: Path, *, state: str) -> None:
    path.unlink()
    if state == "empty":
        path.touch()


def exchange_token(mesh: Certified, path: Path) -> None:
    """The old one proves nothing any more."""
    mesh.tokens.withdraw(path.read_bytes())
    path.write_bytes(mesh.tokens.issue(name_in("web")))


async def test_nothing_is_served_before_the_first_certificate(tmp_path: Path) -> None:
    async with certified(tmp_path, started=False) as mesh, origin(answer) as server:
        workload = f"{server.address[0]}:{server.address[1]}"
        variables = mesh.with_key("web")
        async with sidecar(INBOUND_STATIC_PORTS=f"127.0.0.1:0={workload}", **variables) as proxy:
            assert (await status(proxy, "/live")).endswith(b"200 OK")
            assert b" 503 " in await status(proxy, "/ready")
            waiting = spawn(
                talk(proxy.static(direction="inbound"), GET, until=b"ok"), name="early client"
            )
            assert not server.heads
            await mesh.start()
            # Who came too early was kept waiting, not refused.
            assert (await in_time(waiting, 15)).startswith(b"HTTP/1.1 200")
            assert await is_ready(proxy)
            assert await metric(proxy, REFRESHES) == 1


async def test_who_waits_is_reset_when_the_end_comes_before_the_certificate(
    tmp_path: Path,
) -> None:
    async with certified(tmp_path, started=False) as mesh, origin(answer) as server:
        workload = f"{server.address[0]}:{server.address[1]}"
        variables = mesh.with_key("web")
        async with sidecar(INBOUND_STATIC_PORTS=f"127.0.0.1:0={workload}", **variables) as proxy:
            early = await asyncio.to_thread(
                RawConnection.connect, proxy.static(direction="inbound")
            )
            early.send(GET)
            proxy.proxy.shut_down()
        with early:
            assert await asyncio.to_thread(early.receive_to_end) == (b"", End.RESET)
        assert not server.heads


async def test_certificates_are_renewed_and_an_absent_service_changes_nothing(
    tmp_path: Path,
) -> None:
    async with certified(tmp_path, lifetime_s=2) as mesh, origin(answer) as server:
        workload = f"{server.address[0]}:{server.address[1]}"
        variables = mesh.with_key("web")
        async with sidecar(INBOUND_STATIC_PORTS=f"127.0.0.1:0={workload}", **variables) as proxy:
            await eventually_async(lambda: is_ready(proxy))

            async def renewed(times: int) -> bool:
                return await metric(proxy, REFRESHES) >= times

            await eventually_async(lambda: renewed(2))
            first = proxy.proxy.parts.identity.credentials  # type: ignore[union-attr]
            await mesh.stop()

            async def failed() -> bool:
                return await metric(proxy, REFRESHES.replace("ok", "error")) >= 1

            await eventually_async(failed)
            assert await is_ready(proxy)
            got = await talk(proxy.static(direction="inbound"), GET, until=b"ok")
            assert got.startswith(b"HTTP/1.1 200")
            before = await metric(proxy, REFRESHES)
            await mesh.start()
            await eventually_async(lambda: renewed(int(before) + 1))
            assert proxy.proxy.parts.identity.credentials is not first  # type: ignore[union-attr]


async def test_a_token_that_was_exchanged_is_the_one_that_counts(tmp_path: Path) -> None:
    async with certified(tmp_path, lifetime_s=2) as mesh:
        variables = mesh.with_key("web")
        async with sidecar(**variables) as proxy:
            await eventually_async(lambda: is_ready(proxy))
            exchange_token(mesh, Path(variables["IDENTITY_TOKEN_FILE"]))
            before = await metric(proxy, REFRESHES)

            async def renewed() -> bool:
                # The first of them may have been asked for with the old token.
                return await metric(proxy, REFRESHES) >= before + 2

            await eventually_async(renewed)


async def test_a_key_for_another_name_says_why_and_stays_unready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with certified(tmp_path) as mesh:
        token = mesh.variables("voting")["IDENTITY_TOKEN_FILE"]
        variables = mesh.with_key("web")
        variables |= {"IDENTITY_LOCAL_NAME": name_in("voting"), "IDENTITY_TOKEN_FILE": token}
        async with sidecar(**variables) as proxy:
            reason = f"the certificate signing request is for '{name_in('web')}'"
            await eventually_async(lambda: reason in caplog.text)
            assert b" 503 " in await status(proxy, "/ready")


async def test_a_taken_port_is_an_error_long_before_there_is_a_certificate(tmp_path: Path) -> None:
    async with certified(tmp_path, started=False) as mesh, origin(answer) as taken:
        address = f"{taken.address[0]}:{taken.address[1]}"
        with pytest.raises(ListenError, match=f"INBOUND_LISTEN_ADDR: cannot listen on {address}"):
            async with sidecar(INBOUND_LISTEN_ADDR=address, **mesh.with_key("web")):
                pass


async def test_a_process_makes_its_key_becomes_the_proxy_and_is_certified(tmp_path: Path) -> None:
    async with certified(tmp_path, started=False) as mesh:
        env, log = environment(**mesh.variables("web")), tmp_path / "log"
        argv = [sys.executable, "-m", "linkerd2_py.proxy.pod.identity"]
        with Child.start(argv, log=log, env=env) as child:
            found = await asyncio.to_thread(child.wait_for_line, r"listening .*admin=(\S+)")
            proxy = Sidecar({"admin": found[1]})
            assert b" 503 " in await status(proxy, "/ready")
            assert (await status(proxy, "/live")).endswith(b"200 OK")
            await mesh.start()
            await eventually_async(lambda: is_ready(proxy))
            assert f"certified as {name_in('web')}" in child.output()
            await mesh.stop()
            assert await is_ready(proxy)
            assert await asyncio.to_thread(child.terminate) == 0
            assert "received SIGTERM" in child.output()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token_of": "voting"}, "FAILED_PRECONDITION: the token proves"),
        ({"anchors": True}, "does not lead to a trust anchor"),
    ],
    ids=["somebody else's token", "another mesh's anchors"],
)
async def test_who_cannot_be_certified_says_why_and_stays_unready(
    change: dict[str, object], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with certified(tmp_path) as mesh, certified(tmp_path, started=False) as other:
        variables = mesh.with_key("web", token_of=change.get("token_of"))  # type: ignore[arg-type]
        if "anchors" in change:
            variables["IDENTITY_TRUST_ANCHORS"] = other.anchors.decode()
        async with sidecar(**variables) as proxy:
            await eventually_async(lambda: reason in caplog.text)
            assert b" 503 " in await status(proxy, "/ready")
    # Each reason once, however often it was tried.
    assert len(re.findall(re.escape(reason), caplog.text)) == 1


@pytest.mark.parametrize(
    ("file", "variable"),
    [("key.p8", "IDENTITY_DIR"), ("csr.der", "IDENTITY_DIR"), ("token", "IDENTITY_TOKEN_FILE")],
)
@pytest.mark.parametrize("state", ["missing", "empty"])
async def test_a_file_that_is_not_there_is_named(
    file: str, variable: str, state: str, tmp_path: Path
) -> None:
    async with certified(tmp_path, started=False) as mesh:
        variables = mesh.with_key("web")
        damage(Path(variables["IDENTITY_DIR"], file), state=state)
        with pytest.raises(IdentityError, match=rf"LINKERD2_PROXY_{variable}: .*{file}"):
            async with sidecar(**variables):
                pass
