"""Answers what launchers pass on: one question a connection, for root alone."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.controlplane.cni.decision import (
    USUAL_API_PORTS,
    is_control_plane,
    is_ours,
    words_for,
)
from linkerd2_py.controlplane.cni.fields import objects, text, texts
from linkerd2_py.controlplane.cni.question import (
    CniError,
    Code,
    PodName,
    Question,
    error_of,
    read_question,
    result_of,
)
from linkerd2_py.controlplane.cni.rules import Rules
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

logger = logging.getLogger(__name__)

API_LIMIT_S: Final = 20.0
_READ_LIMIT_S: Final = 10.0
_LARGEST: Final = 4 << 20
_WAITING: Final = 128
_OWN_NAMESPACE: Final = Path("/proc/self/ns/net")
_MIRROR: Final = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Call:
    """What came from a launcher. `namespace` is a descriptor, -1 for none."""

    variables: Mapping[str, str]
    configuration: bytes
    namespace: int


class Agent:
    """Asks the API server which pod it is, and writes its rules.

    `trouble` says why no question can be answered; empty: they can. `on_answer` hears of each command
    and whether it went well.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        rules: Rules,
        trouble: Callable[[], str],
        on_answer: Callable[[str, bool], None] = lambda _command, _well: None,
    ) -> None:
        self._api = api
        self._rules = rules
        self._trouble = trouble
        self._on_answer = on_answer

    async def answer(self, call: Call) -> tuple[int, bytes]:
        """The launcher's exit status, and what it prints."""
        version, what = "1.0.0", call.variables.get("CNI_COMMAND", "")[:40]
        try:
            question = read_question(call.variables, call.configuration)
            version = question.version
            what = f"{question.command} for {question.pod or 'nobody of Kubernetes'}"
            body = await self._answer(question, namespace=call.namespace)
        except CniError as error:
            logger.warning("%s fails: %s", what, error)
            self._on_answer(what.partition(" ")[0], False)  # noqa: FBT003  # well or not
            return 1, error_of(error, version=version)
        self._on_answer(question.command, True)  # noqa: FBT003
        return 0, body

    async def _answer(self, question: Question, *, namespace: int) -> bytes:
        if question.command == "STATUS":
            if trouble := self._trouble():
                raise CniError(Code.NOT_AVAILABLE, trouble)
            return b""
        if question.pod is not None:
            await self._for_pod(question, question.pod, namespace=namespace)
        return b"" if question.command == "CHECK" else result_of(question)

    async def _for_pod(self, question: Question, name: PodName, *, namespace: int) -> None:
        found = await self._pod(name)
        if not is_ours(found):
            logger.debug("%s has no proxy, or an init container of its own", name)
            return
        _check_namespace(namespace)
        words = words_for(
            found,
            namespace=await self._get(f"/api/v1/namespaces/{name.namespace}"),
            configuration=question.configuration,
            api_ports=await self._api_ports() if is_control_plane(found) else (),
        )
        work = self._rules.check if question.command == "CHECK" else self._rules.write
        await work(words, namespace=namespace)
        logger.info("%s for %s: %s", question.command, name, " ".join(words.arguments))

    async def _pod(self, name: PodName) -> Json:
        found = await self._get(f"/api/v1/namespaces/{name.namespace}/pods/{name.name}")
        uid = text(found, "metadata", "uid")
        # What the API server has of a static pod is its picture, with an identity of its own.
        is_picture = _MIRROR in texts(found, "metadata", "annotations")
        if name.uid and uid and name.uid != uid and not is_picture:
            raise CniError(Code.TRY_AGAIN, f"pod {name} is another one by now: its uid is {uid}")
        return found

    async def _api_ports(self) -> tuple[str, ...]:
        """Of the Service that everybody asks, and of what stands behind it."""
        try:
            found = await self._get("/api/v1/namespaces/default/services/kubernetes")
        except CniError as error:
            logger.warning("the API server's ports are not known: %s", error)
            return USUAL_API_PORTS
        both = ("port", "targetPort")
        said = [each.get(key) for each in objects(found, "spec", "ports") for key in both]
        return tuple(dict.fromkeys(str(one) for one in said if type(one) is int)) or USUAL_API_PORTS

    async def _get(self, path: str) -> Json:
        try:
            async with asyncio.timeout(API_LIMIT_S):
                return await self._api.get(path, {})
        except TimeoutError as error:
            raise CniError(
                Code.TRY_AGAIN, f"the API server did not answer in {API_LIMIT_S:.0f} s"
            ) from error
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                raise CniError(Code.REFUSED, f"the agent may not ask: {error}") from error
            raise CniError(Code.TRY_AGAIN, f"the API server: {error}") from error


@asynccontextmanager
async def serve_agent(agent: Agent, path: Path) -> AsyncIterator[None]:
    """At a socket that root alone may connect to. One that is there already is taken over without a gap.
    Raises `BindError`.
    """
    server, made = _listen(path)
    questions: set[asyncio.Task[None]] = set()
    task = supervise(lambda: _accept(agent, server, questions), name="cni-agent")
    try:
        yield
    finally:
        await cancel_all([task])
        server.close()
        _leave(path, made=made)
        if questions:
            await asyncio.wait(questions)


def _listen(path: Path) -> tuple[socket.socket, int]:
    """The socket, and by which inode it is known again."""
    server, fresh = socket.socket(socket.AF_UNIX), path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        server.bind(str(fresh))
        fresh.chmod(0o600)
        server.listen(_WAITING)
        made = fresh.stat().st_ino
        fresh.replace(path)
    except OSError as error:
        server.close()
        raise BindError(f"{path}: cannot be listened at: {error.strerror or error}") from error
    server.setblocking(False)  # noqa: FBT003  # its only parameter
    return server, made


def _leave(path: Path, *, made: int) -> None:
    with suppress(OSError):
        # Not that of an agent which has taken over.
        if path.stat().st_ino == made:
            path.unlink()


async def _accept(agent: Agent, server: socket.socket, questions: set[asyncio.Task[None]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        launcher, _ = await loop.sock_accept(server)
        task = spawn(_serve_launcher(agent, launcher), name="cni-question")
        questions.add(task)
        task.add_done_callback(questions.discard)


async def _serve_launcher(agent: Agent, launcher: socket.socket) -> None:
    """Whoever is not answered fails, and asks again."""
    with launcher:
        try:
            # Few bytes, from a program of our own: a thread waits for them.
            call = await asyncio.to_thread(_read, launcher)
        except (OSError, ValueError) as error:
            logger.warning("a question that cannot be read: %s", error)
            return
        try:
            status, body = await agent.answer(call)
        finally:
            if call.namespace >= 0:
                os.close(call.namespace)
        launcher.setblocking(False)  # noqa: FBT003
        with suppress(OSError):
            whole = f"{status} {len(body)}\n".encode() + body
            await asyncio.get_running_loop().sock_sendall(launcher, whole)


def _read(launcher: socket.socket) -> Call:
    """Raises OSError or ValueError, with nothing left open."""
    _check_peer(launcher)
    launcher.settimeout(_READ_LIMIT_S)
    _, found, _, _ = socket.recv_fds(launcher, 1, 1, socket.MSG_CMSG_CLOEXEC)
    try:
        said = bytearray()
        while part := launcher.recv(65536):
            said += part
            if len(said) > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST} bytes")
        head, mark, configuration = bytes(said).partition(b"\0\0")
        if not mark:
            raise ValueError("it ends too early")
    except BaseException:
        for one in found:
            os.close(one)
        raise
    pairs = (one.decode(errors="replace").partition("=") for one in head.split(b"\0"))
    return Call({name: value for name, _, value in pairs}, configuration, (*found, -1)[0])


def _check_peer(launcher: socket.socket) -> None:
    credentials = launcher.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    if uid not in {0, os.geteuid()}:
        raise ValueError(f"it comes from user {uid}")


def _check_namespace(namespace: int) -> None:
    """Raises `CniError` for what is none, and for the node's own: rules there would cut the node off."""
    if namespace < 0:
        raise CniError(Code.BAD_VARIABLES, "CNI_NETNS names no network namespace")
    theirs, ours = os.fstat(namespace), _OWN_NAMESPACE.stat()
    if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
        raise CniError(Code.BAD_VARIABLES, "CNI_NETNS is the network of the node itself")
    if not stat.S_ISREG(theirs.st_mode) or theirs.st_dev != ours.st_dev:
        raise CniError(Code.BAD_VARIABLES, "CNI_NETNS is no network namespace")
