"""Answers are computed once a question and change, told in order to everybody, and take no turn of the loop
for long.

The answers here are the labels of a namespace, as lines that say what was added and removed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.base import slices
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Namespace
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore
from linkerd2_py.controlplane.streams.stream import (
    QUEUE_LIMIT,
    StreamOverflowError,
    UpdateStream,
)
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.controlplane.streams.watches import FANNED_OUT_AT_ONCE, Watches


class LabelsAnswer:
    """`key=value` for each label that is there or has come, `-key` for one that went."""

    def __init__(self, name: str, mesh: Mesh, *, computed: Counter[str]) -> None:
        self._name = name
        self._computed = computed
        self._labels: dict[str, str] = {}
        self.refresh(mesh)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return frozenset({Topic("namespace", self._name)})

    def snapshot(self) -> tuple[bytes, ...]:
        return (_line(sorted(self._labels.items()), gone=()),)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        self._computed[self._name] += 1
        found = mesh.namespaces.get(self._name)
        before, self._labels = self._labels, dict(found.labels) if found else {}
        if "broken" in self._labels:
            raise OverflowError("unforeseen")
        new = sorted(self._labels.items() - before.items())
        gone = sorted(before.keys() - self._labels.keys())
        return (_line(new, gone=gone),) if new or gone else ()


def _line(labels: Sequence[tuple[str, str]], *, gone: Sequence[str]) -> bytes:
    return " ".join(
        [*(f"{key}={value}" for key, value in labels), *(f"-{key}" for key in gone)]
    ).encode()


class Rig:
    """A mesh of namespaces, and watches of their labels."""

    def __init__(self, *, listed: bool = True) -> None:
        self.store = MeshStore()
        self.computed: Counter[str] = Counter()
        self.overflows = 0
        self.watches: Watches[str] = Watches(
            self.store.mesh,
            name="labels",
            needs=(Namespace,),
            answer=lambda name, mesh: LabelsAnswer(name, mesh, computed=self.computed),
            on_overflow=self._count_overflow,
        )
        self.store.subscribe(self._on_changes)
        if listed:
            self.store.replace({Namespace: []})

    def label(self, name: str, **labels: str) -> None:
        self.store.put(Namespace(name, labels))

    def _on_changes(self, changes: Sequence[Change]) -> None:
        subjects = (change.subject for change in changes)
        self.watches.touch(
            Topic("namespace", one.name) for one in subjects if isinstance(one, Namespace)
        )

    def _count_overflow(self) -> None:
        self.overflows += 1


def queued(stream: UpdateStream) -> list[str]:
    return [message.decode() for message in stream._queue]


def replayed(stream: UpdateStream) -> dict[str, str]:
    """What a subscriber knows after all of its messages."""
    known: dict[str, str] = {}
    for word in " ".join(queued(stream)).split():
        if word.startswith("-"):
            del known[word[1:]]
        else:
            key, _, value = word.partition("=")
            known[key] = value
    return known


class Turns:
    """Counts turns of the loop; each look at the clock costs `look_s`."""

    def __init__(self, *, look_s: float) -> None:
        self.count = 0
        self._now = 0.0
        self._look_s = look_s
        self._next()

    def clock(self) -> float:
        self._now += self._look_s
        return self._now

    def stop(self) -> None:
        self._handle.cancel()

    def _next(self) -> None:
        self.count += 1
        self._handle = asyncio.get_running_loop().call_soon(self._next)


async def test_every_subscriber_gets_every_message_in_order_and_the_same_bytes() -> None:
    rig = Rig()
    streams = [await rig.watches.subscribe("a") for _ in range(3)]
    for number in range(20):
        rig.label("a", x=str(number))
        await rig.watches.settled()
    for stream in streams:
        assert queued(stream) == ["", *(f"x={number}" for number in range(20))]
    for same in zip(*(stream._queue for stream in streams), strict=True):
        assert len(set(map(id, same))) == 1
    # Once at the beginning, and once a change.
    assert rig.computed == {"a": 21}


async def test_changes_that_follow_each_other_at_once_are_one_message() -> None:
    rig = Rig()
    stream = await rig.watches.subscribe("a")
    for number in range(20):
        rig.label("a", x=str(number))
    await rig.watches.settled()
    assert queued(stream) == ["", "x=19"]
    assert rig.computed == {"a": 2}


async def test_a_change_elsewhere_computes_nothing() -> None:
    rig = Rig()
    streams = {name: await rig.watches.subscribe(name) for name in "abc"}
    rig.computed.clear()
    rig.label("b", x="1")
    rig.label("nobody-asks", x="1")
    await rig.watches.settled()
    assert rig.computed == {"b": 1}
    assert [len(stream._queue) for stream in streams.values()] == [1, 2, 1]


async def test_a_question_is_forgotten_with_its_last_stream() -> None:
    rig = Rig()
    first, second = [await rig.watches.subscribe("a") for _ in range(2)]
    rig.watches.unsubscribe("a", stream=first)
    assert (rig.watches.questions, rig.watches.streams) == (1, 1)
    other = await rig.watches.subscribe("b")
    rig.label("a", x="1")
    rig.label("b", x="1")
    # Before the change is taken up.
    rig.watches.unsubscribe("a", stream=second)
    rig.watches.unsubscribe("a", stream=second)
    assert (rig.watches.questions, rig.watches.streams) == (1, 1)
    await rig.watches.settled()
    assert rig.computed == {"a": 1, "b": 2}
    assert queued(other) == ["", "x=1"]


async def test_who_comes_between_a_change_and_its_message_begins_with_what_holds() -> None:
    rig = Rig()
    early = await rig.watches.subscribe("a")
    rig.label("a", x="1")
    late = await rig.watches.subscribe("a")
    await rig.watches.settled()
    assert queued(early) == ["", "x=1"]
    assert queued(late) == ["x=1"]
    assert await rig.watches.snapshot("a") == (b"x=1",)
    assert await rig.watches.snapshot("b") == (b"",)


async def test_who_has_left_is_told_nothing_of_what_was_already_known() -> None:
    rig = Rig()
    left, stays = [await rig.watches.subscribe("a") for _ in range(2)]
    rig.label("a", x="1")
    # Takes the change up before those who were there are told of it.
    await rig.watches.snapshot("a")
    rig.watches.unsubscribe("a", stream=left)
    await rig.watches.settled()
    assert (queued(left), queued(stays)) == ([""], ["", "x=1"])


async def test_a_subscriber_that_is_too_slow_is_ended_alone_and_counted_once() -> None:
    rig = Rig()
    slow, quick = [await rig.watches.subscribe("a") for _ in range(2)]
    for number in range(QUEUE_LIMIT + 5):
        rig.label("a", x=str(number))
        await rig.watches.settled()
        quick._queue.clear()
    assert (slow.overflowed, quick.overflowed) == (True, False)
    assert (rig.overflows, rig.watches.streams) == (1, 1)
    with pytest.raises(StreamOverflowError):
        await anext(slow.__aiter__())


async def test_an_answer_that_raises_ends_its_own_streams_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    broken, well = [await rig.watches.subscribe(name) for name in "ab"]
    rig.label("a", broken="yes")
    rig.label("b", x="1")
    await rig.watches.settled()
    assert [message async for message in broken] == [b""]
    assert queued(well) == ["", "x=1"]
    assert (rig.watches.questions, rig.watches.streams) == (1, 1)
    assert "labels a failed: OverflowError('unforeseen')" in caplog.text
    # Who asks is told of the failure, until the answer can be given again.
    with pytest.raises(OverflowError):
        await rig.watches.subscribe("a")
    rig.label("a", x="2")
    assert queued(await rig.watches.subscribe("a")) == ["x=2"]


async def test_nobody_is_answered_before_all_that_is_needed_has_been_listed() -> None:
    rig = Rig(listed=False)
    rig.label("a", x="1")
    asking = [spawn(ask("a"), name="ask") for ask in (rig.watches.subscribe, rig.watches.snapshot)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in asking)
    assert not rig.computed
    rig.store.replace({Namespace: [Namespace("a", {"x": "2"})]})
    await asyncio.wait_for(asyncio.gather(*asking), 10)
    assert await rig.watches.snapshot("a") == (b"x=2",)


async def test_closed_watches_end_every_stream_after_what_is_queued_and_those_that_come_later() -> (
    None
):
    rig = Rig()
    stream = await rig.watches.subscribe("a")
    rig.watches.close()
    rig.label("a", x="1")
    await rig.watches.settled()
    assert [message async for message in stream] == [b""]
    late = await rig.watches.subscribe("a")
    assert len([message async for message in late]) == 1


async def test_first_answers_that_are_wanted_at_once_take_many_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    turns = Turns(look_s=slices.SLICE_S / 5)
    monkeypatch.setattr(slices, "perf_counter", turns.clock)
    await asyncio.gather(*(rig.watches.subscribe(str(number)) for number in range(100)))
    turns.stop()
    assert rig.watches.questions == 100
    assert turns.count >= 20


async def test_answers_that_one_change_touches_are_refreshed_in_many_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    names = [str(number) for number in range(100)]
    streams = [await rig.watches.subscribe(name) for name in names]
    turns = Turns(look_s=slices.SLICE_S / 5)
    monkeypatch.setattr(slices, "perf_counter", turns.clock)
    rig.store.apply(put=[Namespace(name, {"x": "1"}) for name in names])
    await rig.watches.settled()
    turns.stop()
    assert all(queued(stream) == ["", "x=1"] for stream in streams)
    assert turns.count >= 20


async def test_one_change_wakes_only_some_of_its_subscribers_in_each_turn() -> None:
    rig = Rig()
    streams = [await rig.watches.subscribe("a") for _ in range(10 * FANNED_OUT_AT_ONCE)]
    turns, told_in = Turns(look_s=0.0), Counter[int]()

    async def read(stream: UpdateStream) -> None:
        async for message in stream:
            if message:
                told_in[turns.count] += 1
                return

    reading = [spawn(read(stream), name="reader") for stream in streams]
    await asyncio.sleep(0)
    rig.label("a", x="1")
    await asyncio.wait_for(asyncio.gather(*reading), 30)
    turns.stop()
    assert max(told_in.values()) <= FANNED_OUT_AT_ONCE
    assert sum(told_in.values()) == len(streams)


NAMES = st.sampled_from("abc")
LABELS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"))
STEPS: st.SearchStrategy[tuple[str, str, Mapping[str, str]]] = st.one_of(
    st.tuples(st.just("put"), NAMES, LABELS),
    st.tuples(st.just("remove"), NAMES, st.just({})),
    st.tuples(st.just("subscribe"), NAMES, st.just({})),
    st.tuples(st.just("turn"), NAMES, st.just({})),
)


@given(st.lists(STEPS, max_size=40))
def test_late_subscribers_know_what_earlier_ones_have_been_told(
    steps: list[tuple[str, str, Mapping[str, str]]],
) -> None:
    asyncio.run(_go_through(steps))


async def _go_through(steps: list[tuple[str, str, Mapping[str, str]]]) -> None:
    rig = Rig()
    streams = [(name, await rig.watches.subscribe(name)) for name in "abc"]
    for step, name, labels in steps:
        if step == "put":
            rig.store.put(Namespace(name, dict(labels)))
        elif step == "remove":
            rig.store.remove(Namespace, key=name)
        elif step == "subscribe":
            streams.append((name, await rig.watches.subscribe(name)))
        else:
            await asyncio.sleep(0)
    await rig.watches.settled()
    for name, stream in streams:
        held = rig.store.mesh.namespaces.get(name)
        late = await rig.watches.subscribe(name)
        assert replayed(stream) == replayed(late) == (dict(held.labels) if held else {})
