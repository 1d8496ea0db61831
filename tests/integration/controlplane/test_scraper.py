"""The scraper against servers that answer badly, late or not at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import Owner, Pod
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded import scraper as scraper_module
from linkerd2_py.controlplane.metrics.embedded.queries import sum_increase
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore, Series
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.store import Report, Selection, Window
from tests.support.wait import eventually_async

POD = Pod(
    "default",
    "web-0",
    Owner("deployment", "web"),
    ("127.0.1.1",),
    ready=True,
    meshed=True,
    status="Running",
)
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\nresponse_total 1\n"


class Server:
    """Answers every connection with the same bytes; None never answers."""

    def __init__(self) -> None:
        self.answer: bytes | None = GOOD
        self.asked = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.answer is None:
                await reader.read()
            else:
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Scene:
    def __init__(self, server: Server, address: str) -> None:
        self.server = server
        self.mesh = MeshStore()
        self.clock = ManualClock()
        self.store = SampleStore()
        self.scraper = Scraper(self.mesh, store=self.store, interval_s=0.01, clock=self.clock)
        self.pod = replace(POD, admin_addr=address)

    async def turn(self) -> Report:
        self.clock.advance(1)
        await self.scraper.scrape(self.pod)
        return self.scraper._reports[self.pod.key]


def only(store: SampleStore, **matching: str) -> Series:
    (batch,) = store.batches("response_total")
    ((_, series),) = batch.select(Selection(matching))
    return series


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    server = Server()
    scene = Scene(server, await server.start())
    scene.scraper.start()
    yield scene
    await scene.scraper.stop()
    await server.stop()


async def test_good_answer_is_kept_with_the_pods_labels(scene: Scene) -> None:
    report = await scene.turn()
    assert report == Report(last_success=scene.clock.monotonic())
    series = only(scene.store, deployment="web")
    assert series.labels == {"namespace": "default", "pod": "web-0", "deployment": "web"}


@pytest.mark.parametrize(
    ("owner", "label"),
    [
        (Owner("statefulset", "db"), {"statefulset": "db"}),
        (Owner("job", "db"), {"k8s_job": "db"}),
        (None, {}),
    ],
)
async def test_series_are_labelled_by_the_kind_of_the_owner(
    scene: Scene, owner: Owner | None, label: dict[str, str]
) -> None:
    scene.pod = replace(scene.pod, owner=owner)
    await scene.turn()
    assert only(scene.store).labels == {"namespace": "default", "pod": "web-0", **label}


async def test_a_calendar_that_is_set_back_changes_nothing(scene: Scene) -> None:
    asked = Selection({}, ())
    for step_s in (0, 0, -3600, 0, 7200, 0):
        scene.clock.step_calendar(step_s)
        scene.server.answer = GOOD.replace(b"1\n", b"%d\n" % (scene.server.asked + 1))
        await scene.turn()
    window = Window(int(scene.clock.monotonic() * 1000), 5000)
    found = await sum_increase(scene.store, "response_total", selection=asked, window=window)
    assert found == {(): 5.0}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnonsense\n", "line 1: not NAME"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\na 1\nb 2", "cut off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1\n", "peer closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\n", "is not UTF-8 text"),
        (b"SSH-2.0\r\n\r\n", "/metrics"),
        (b"", "/metrics"),
    ],
)
async def test_bad_answers_are_gaps_with_a_reason(scene: Scene, answer: bytes, reason: str) -> None:
    first = await scene.turn()
    scene.server.answer = answer
    report = await scene.turn()
    assert reason in report.failure
    assert report.last_success == first.last_success
    series = only(scene.store)
    now_ms = int(scene.clock.monotonic() * 1000)
    assert series.latest(start_ms=0, end_ms=now_ms) is None


async def test_answer_that_is_too_large_is_cut_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraper_module, "LARGEST_ANSWER_BYTES", 10)
    assert "more than 10 bytes" in (await scene.turn()).failure


async def test_server_that_never_answers_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraper_module, "TIMEOUT_S", 0.05)
    scene.server.answer = None
    assert (await scene.turn()).failure


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "nonsense:x:y", "[::1"])
async def test_address_that_leads_nowhere_is_a_reason(scene: Scene, address: str) -> None:
    scene.pod = replace(scene.pod, admin_addr=address)
    assert (await scene.turn()).failure


async def test_a_turn_that_fails_of_what_nobody_foresaw_is_a_reason_and_the_next_one_comes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []

    def append(*_: object, **__: object) -> None:
        turns.append("failed")
        raise OverflowError("unforeseen")

    monkeypatch.setattr(scene.store, "append", append)
    scene.mesh.put(scene.pod)
    await eventually_async(lambda: len(turns) >= 2)
    assert (await scene.scraper.reports())[scene.pod.key].failure == "unforeseen"


async def test_failures_are_logged_once_until_they_end(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="linkerd2_py")
    scene.server.answer = b""
    await scene.turn()
    await scene.turn()
    assert caplog.text.count("cannot read the metrics of default/web-0") == 1


async def fails(scene: Scene) -> bool:
    return bool((await scene.scraper.reports())[scene.pod.key].failure)


async def is_well(scene: Scene) -> bool:
    return not await fails(scene)


async def asked_again(scene: Scene) -> None:
    before = scene.server.asked
    await eventually_async(lambda: scene.server.asked > before + 1)


async def test_pods_are_followed_as_they_come_and_go(scene: Scene) -> None:
    scene.mesh.put(scene.pod)
    await asked_again(scene)
    assert set(await scene.scraper.reports()) == {scene.pod.key}
    scene.mesh.remove(Pod, key=scene.pod.key)
    assert await scene.scraper.reports() == {}
    assert scene.scraper._tasks == {}


@pytest.mark.parametrize("change", [{"meshed": False}, {"admin_addr": None}])
async def test_pods_without_a_proxy_are_left_alone(
    scene: Scene, change: dict[str, bool | None]
) -> None:
    scene.mesh.put(scene.pod)
    await asked_again(scene)
    scene.mesh.put(replace(scene.pod, **change))  # type: ignore[arg-type]
    assert await scene.scraper.reports() == {}


async def test_pod_whose_admin_server_moved_is_asked_there(scene: Scene) -> None:
    scene.mesh.put(replace(scene.pod, admin_addr="127.0.0.1:1"))
    await eventually_async(lambda: fails(scene))
    scene.mesh.put(scene.pod)
    await asked_again(scene)
    await eventually_async(lambda: is_well(scene))


async def test_hanging_pod_delays_no_other(scene: Scene) -> None:
    hanging = Server()
    hanging.answer = None
    address = await hanging.start()
    scene.mesh.put(replace(scene.pod, name="hung-0", admin_addr=address))
    scene.mesh.put(scene.pod)
    await eventually_async(lambda: hanging.asked)
    await asked_again(scene)
    scene.mesh.replace({Pod: []})
    await hanging.stop()


async def test_pods_that_are_gone_are_forgotten_after_the_retention(scene: Scene) -> None:
    scene.mesh.put(scene.pod)
    scene.mesh.put(replace(scene.pod, name="web-1"))
    await eventually_async(lambda: scene.store.pods == 2)
    scene.mesh.remove(Pod, key=scene.pod.key)
    scene.clock.advance(scene.store.retention_s + 1)
    await eventually_async(lambda: scene.store.pods == 1)
