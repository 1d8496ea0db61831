"""A small network of its own: hosts on a bridge, each in a network namespace, with an address of either
family.

with net_lab(tmp_path) as lab:
    a, b = lab.host("a"), lab.host("b")
    b.start(["nginx", …])
    a.run("curl", f"http://{b.v4}/")

The router that holds the bridge is a namespace, too (`lab.router`): it is the way to every address, and a
place for what all hosts must reach. At the end every program that `start` began is over and every namespace
is gone, or the test fails.
"""

import asyncio
import itertools
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path

from tests.support.netns import as_user, entered, inside, namespace, sh, write_setting
from tests.support.processes import Child
from tests.support.wait import within

PROXY_UID = 2102
RUN_S = 20.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_MASK = {4: 24, 6: 64}


@dataclass(eq=False)
class Host:
    """One machine: everything it does happens in its namespace."""

    netns: str
    name: str
    v4: str
    v6: str
    folder: Path
    children: ExitStack

    def entered(self) -> AbstractContextManager[None]:
        """This thread is on the host: sockets made in the block are its."""
        return entered(self.netns)

    def words(self, words: Sequence[str | Path], *, uid: int = 0) -> list[str]:
        """The words that run a program here, as root or as another user with no rights but to read."""
        plain = [str(word) for word in words]
        return ["ip", "netns", "exec", self.netns, *(as_user(uid, plain) if uid else plain)]

    def start(
        self,
        words: Sequence[str | Path],
        *,
        log: str,
        uid: int = 0,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Begin a program that lasts as long as the lab at most."""
        path = self.folder / f"{self.name}-{log}.log"
        child = Child.start(self.words(words, uid=uid), log=path, env=env)
        return self.children.enter_context(child)

    def listening(self, child: Child, port: int) -> Child:
        """The same, once it accepts connections at `port` of this host."""
        with self.entered():
            child.wait_for_port((self.v4, port))
        return child

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program to its end. Blocks."""
        return inside(self.netns, *words, check=check)

    async def call(self, *words: str, check: bool = True, uid: int = 0) -> str:
        """What a program wrote until its end, while this loop goes on. Its words are in the failure when it
        fails.
        """
        running = await asyncio.create_subprocess_exec(
            *self.words(words, uid=uid),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with within(RUN_S):
                out, err = await running.communicate()
        except TimeoutError:
            running.kill()
            await running.wait()
            raise AssertionError(f"still running after {RUN_S} s: {words}") from None
        done = f"{words}: exit status {running.returncode}: {out.decode()}{err.decode()}"
        assert not check or running.returncode == 0, done
        return out.decode()

    @asynccontextmanager
    async def connected(self, address: str, port: int) -> AsyncIterator[Streams]:
        """A connection from here, closed at the end, however it ended."""
        with self.entered():
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setblocking(False)
        try:
            async with within(RUN_S):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    @asynccontextmanager
    async def serving(
        self, port: int, serve: Serve, *, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[None]:
        """A server of the test's own, on all addresses of this host."""
        with self.entered():
            sock = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        async with await asyncio.start_server(serve, sock=sock, ssl=tls):
            yield


class NetLab:
    """See the module. Needs root; the test is skipped without."""

    def __init__(self, folder: Path, *, netns: ExitStack, children: ExitStack) -> None:
        """Namespaces are made in `netns`, programs in `children`, which ends before it."""
        self.folder = folder
        self.names: list[str] = []
        self._netns = netns
        self._children = children
        self._numbers = itertools.count(1)
        self.router = self._machine("router")
        """Where the bridge is: the gateway of every host."""
        self._ip(self.router, "link add lab type bridge", "link set lab up")
        self._ip(self.router, *(line.replace("eth0", "lab") for line in _own(self.router)))
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            write_setting(self.router.netns, setting, "1")

    def host(self, name: str, *addresses: str) -> Host:
        """One more machine; `addresses` are further ones of its own, outside the lab's network."""
        found = self._machine(name)
        # Names of interfaces have at most 15 characters.
        port = f"to-{name[-12:]}"
        self._ip(self.router, f"link add {port} type veth peer name eth0 netns {found.netns}")
        self._ip(self.router, f"link set {port} master lab up")
        routes = [_address(one, 32 if ":" not in one else 128) for one in addresses]
        self._ip(found, *_own(found), "link set eth0 up", *routes, *_gateways(self.router))
        for one in addresses:
            self._ip(self.router, f"route add {one} dev lab")
        return found

    def _machine(self, name: str) -> Host:
        netns = self._netns.enter_context(namespace(label=name))
        self.names.append(netns)
        # Link-local addresses are tentative for seconds otherwise, and with them everything a router asks its
        # neighbours.
        write_setting(netns, "ipv6/conf/default/accept_dad", "0")
        number = next(self._numbers)
        v4, v6 = f"10.77.0.{number}", f"fd77::{number}"
        return Host(netns, name, v4, v6, self.folder, self._children)

    def _ip(self, host: Host, *lines: str) -> None:
        sh("ip", "-n", host.netns, "-batch", "-", text="\n".join(lines))


@contextmanager
def net_lab(folder: Path) -> Iterator[NetLab]:
    """A lab with nothing but its router, until the block ends."""
    with ExitStack() as netns:
        with ExitStack() as children:
            lab = NetLab(folder, netns=netns, children=children)
            yield lab
        left = {name: sh("ip", "netns", "pids", name).stdout.split() for name in lab.names}
    present = set(sh("ip", "netns", "list").stdout.split())
    assert not any(left.values()), f"programs outlived the lab: {left}"
    assert not present & set(lab.names), "namespaces outlived the lab"


def redirect(host: Host, *flags: str) -> None:
    """The rules that make the host's TCP traffic pass its proxy."""
    ports = ("-p", "4143", "-o", "4140", "--proxy-uid", str(PROXY_UID))
    program = (sys.executable, "-m", "linkerd2_py.proxy.pod.init", "--netns", host.netns)
    sh(*program, *ports, "--inbound-ports-to-ignore", "4190,4191", *flags)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, whatever was unsent."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _own(host: Host) -> list[str]:
    return [_address(host.v4, _MASK[4]), _address(host.v6, _MASK[6])]


def _address(text: str, bits: int) -> str:
    # Without `nodad` an IPv6 address cannot be used for the first seconds of its life.
    return f"addr add {text}/{bits} dev eth0{' nodad' if ':' in text else ''}"


def _gateways(router: Host) -> list[str]:
    return [f"route add default via {router.v4}", f"route add default via {router.v6} dev eth0"]
