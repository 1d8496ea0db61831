"""The sample application: its messages, its mesh.yaml, its page, and the fault that is planted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import grpc
import pytest
from grpc_tools import protoc

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.local import sample
from linkerd2_py.controlplane.local.sample import chat, emoji, page, voting, web
from linkerd2_py.controlplane.local.sample.gen import emojivoto_pb2 as pb
from linkerd2_py.controlplane.local.sample.shared import Shared
from linkerd2_py.controlplane.sources.local.mesh_file import load_mesh_file
from tests.support.wait import in_time, patience

SAMPLE = Path(str(files(sample)))
SOURCE = Path(__file__).resolve().parents[5] / "controlplane/local/sample"


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((emoji.service(), voting.service(pod="voting-0")))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


async def _vote(channel: grpc.aio.Channel, shortcode: str) -> pb.VoteReply:
    path = f"/emojivoto.v1.VotingService/{voting.method_of(shortcode)}"
    call = channel.unary_unary(path, pb.VoteRequest.SerializeToString, pb.VoteReply.FromString)
    reply: pb.VoteReply = await call(pb.VoteRequest(), timeout=5 * patience())
    return reply


@pytest.mark.keeps_open("grpc keeps the socket pair of its poller")
async def test_votes_are_counted(channel: grpc.aio.Channel) -> None:
    assert [(await _vote(channel, "joy")).votes for _ in range(3)] == [1, 2, 3]


@pytest.mark.keeps_open("grpc keeps the socket pair of its poller")
async def test_only_the_doughnut_fails(channel: grpc.aio.Channel) -> None:
    failing = []
    for shortcode in emoji.CATALOGUE:
        try:
            await _vote(channel, shortcode)
        except grpc.aio.AioRpcError as error:
            failing.append((shortcode, error.code()))
    assert failing == [("doughnut", grpc.StatusCode.UNKNOWN)]


def test_every_emoji_has_its_method_in_the_proto() -> None:
    service = pb.DESCRIPTOR.services_by_name["VotingService"]
    expected = {voting.method_of(code) for code in emoji.CATALOGUE} | {"Results"}
    assert {method.name for method in service.methods} == expected


def test_generated_messages_are_those_of_the_proto(tmp_path: Path) -> None:
    package = "linkerd2_py/controlplane/local/sample/gen"
    arguments = [f"--proto_path={package}={SOURCE}", f"--python_out={tmp_path}"]
    assert protoc.main(["protoc", *arguments, f"{package}/emojivoto.proto"]) == 0
    fresh = (tmp_path / package / "emojivoto_pb2.py").read_text()
    committed = (SAMPLE / "gen" / "emojivoto_pb2.py").read_text()
    # The header names the compiler's own version, which may differ between machines.
    assert _descriptor(fresh) == _descriptor(committed)


def test_mesh_file_is_valid_and_all_meshed() -> None:
    mesh = load_mesh_file(SAMPLE / "mesh.yaml")
    assert set(mesh.workloads) == {"web", "emoji", "voting", "chat", "vote-bot"}
    assert all(workload.meshed for workload in mesh.workloads.values())
    assert mesh.workloads["voting"].replicas >= 2


def test_tally_adds_the_shares_of_all_replicas() -> None:
    tally = web.Tally()
    for pod, votes in (("voting-0", 2), ("voting-1", 3), ("voting-0", 4)):
        tally.add(pb.ResultsReply(pod=pod, results=[pb.Result(shortcode="joy", votes=votes)]))
    assert (tally.votes("joy"), tally.votes("cat")) == (7, 0)


def test_page_escapes_what_people_say() -> None:
    view: page.View = {
        "emoji": [{"code": "<x>", "text": "&", "votes": 1}],
        "messages": ["</script><script>alert(1)</script>"],
        "bot": {},
    }
    text = page.render(view)
    assert "<x>" not in text.replace('"<x>"', "")
    assert text.count("</script>") == 1
    assert "<b>&amp;</b><span>:&lt;x&gt;:</span><i>1</i>" in text


async def test_feed_speaks_first_and_repeats_what_is_said() -> None:
    room = chat.Room()
    server = await asyncio.start_server(room.feed, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await in_time(reader.readline(), 5) == b"welcome to the feed\n"
    saying = asyncio.gather(*(room.say("hello") for _ in range(3)))
    assert await in_time(reader.readline(), 5) in {b"hello\n", b"-\n"}
    await saying
    await room.close()
    assert await in_time(reader.read(), 5) in {b"", b"hello\n", b"hello\nhello\n"}
    writer.close()
    await writer.wait_closed()
    server.close()


class Source:
    """Something that is asked: answers when told to, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()
        self.failing = False

    async def ask(self) -> int:
        self.asked += 1
        await self.answer.wait()
        if self.failing:
            raise ConnectionError("away")
        return self.asked


async def test_readers_of_one_moment_share_one_question() -> None:
    source, clock = Source(), ManualClock()
    shared = Shared(source.ask, fresh_s=0.5, clock=clock)
    readers = [spawn(shared.get(), name="reader") for _ in range(5)]
    await asyncio.sleep(0)
    readers[0].cancel()
    source.answer.set()
    assert await asyncio.gather(*readers[1:]) == [1, 1, 1, 1]
    clock.advance(0.4)
    assert await shared.get() == 1
    clock.advance(0.2)
    assert await shared.get() == 2
    assert source.asked == 2


async def test_a_failure_is_told_to_those_who_waited_and_then_forgotten() -> None:
    source = Source()
    source.failing = True
    source.answer.set()
    shared = Shared(source.ask, fresh_s=60, clock=ManualClock())
    outcomes = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError]
    assert source.asked == 1
    source.failing = False
    assert await shared.get() == 2


def _descriptor(text: str) -> str:
    found = re.search(r"AddSerializedFile\((b.*)\)", text)
    assert found is not None
    return found[1]
