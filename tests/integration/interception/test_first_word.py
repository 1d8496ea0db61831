"""Servers that speak first: at once where the mesh knows of them, after the detection timeout elsewhere."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.netlab import Host
from tests.support.pods import Pods
from tests.support.wait import within

OUTSIDE = ("192.0.2.9", "2001:db8::9")


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    writer.write(b"heard " + await reader.read(-1))
    writer.close()
    await writer.wait_closed()


async def _converse(client: Host, address: str) -> None:
    """Wait for the greeting, then answer and end."""
    async with client.connected(address, 2525) as (reader, writer), within(5):
        assert await reader.readline() == b"220 ready\r\n"
        writer.write(b"quit")
        writer.write_eof()
        assert await reader.read(-1) == b"heard quit"


NEVER = {"OUTBOUND_DETECT_TIMEOUT": "60s", "INBOUND_DETECT_TIMEOUT": "60s"}
BY_PORT = "PORTS_DISABLE_PROTOCOL_DETECTION"


@pytest.mark.parametrize("how", ["profile", "port", "timeout"])
@pytest.mark.parametrize("family", ["v4", "v6"])
async def test_a_server_that_speaks_first(mesh: Pods, how: str, family: str) -> None:
    """At once where the profile or the port says so: the detection timeout is never over here. Elsewhere
    after that of both proxies.
    """
    told = {} if how == "timeout" else {**NEVER, f"INBOUND_{BY_PORT}": "2525"}
    asked = {f"OUTBOUND_{BY_PORT}": "2525"} if how == "port" else {}
    web, mail = mesh.pod("web", **told, **asked), mesh.pod("mail", **told)
    mesh.know(mail, 2525, opaque=how == "profile")
    async with mail.host.serving(2525, _greet):
        began = time.monotonic()
        await _converse(web.host, getattr(mail, family))
        assert how != "timeout" or time.monotonic() - began > 0.5
    assert mail.count("tcp_open_total", direction="inbound", peer="dst") == 1


async def test_a_server_outside_that_speaks_first(mesh: Pods) -> None:
    web, outside = mesh.pod("web"), mesh.lab.host("outside", *OUTSIDE)
    async with outside.serving(2525, _greet):
        for address in OUTSIDE:
            await _converse(web.host, address)


FTP = """
listen=YES
listen_port=21
anonymous_enable=YES
anon_root={folder}/files
secure_chroot_dir={folder}/empty
no_anon_password=YES
background=NO
seccomp_sandbox=NO
xferlog_enable=NO
"""


async def test_ftp(mesh: Pods, tmp_path: Path) -> None:
    """The server speaks first on its port; the file comes over a second connection to a port that nobody was
    told of.
    """
    web, files = mesh.pod("web"), mesh.pod("files")
    for name in ("files", "empty"):
        (tmp_path / name).mkdir(mode=0o555)
    (tmp_path / "files" / "big").write_bytes(bytes(range(256)) * 4000)
    configuration = tmp_path / "vsftpd.conf"
    configuration.write_text(FTP.format(folder=tmp_path))
    files.host.listening(files.host.start(["vsftpd", configuration], log="vsftpd"), 21)
    await web.host.call("curl", "-sS", "-o", str(tmp_path / "got"), f"ftp://{files.v4}/big")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "files" / "big").read_bytes()
    assert files.count("tcp_open_total", direction="inbound", peer="dst") == 2
