"""Every order in which a rotation's steps, pods and certificates can come, in a small mesh: at no moment
does a proxy present what another that runs does not trust.

The decisions are the program's own; what is made up is the cluster: mounts that show an old content for a
while, pods and certificates that are on their way, pods that are replaced at any time and for no reason, and
two people who do the same at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.cli.rotation import steps
from linkerd2_py.cli.rotation.steps import IRREVOCABLE, Next, Proxy, Rotation, Seen, Step, next_step

OLD, NEW = "old", "new"
ROTATION = Rotation(fresh=NEW, retired=frozenset({OLD}), issuer=NEW)
Bundle = frozenset[str]
# An issuer and its keys are called as the anchor above it.
Decide = Callable[[Seen], Next]


@dataclass(frozen=True, slots=True, order=True)
class Pod:
    """What a proxy trusts, what vouches for what it presents, what its annotations say it was started with;
    and of identity and injector what is mounted, and what signs.
    """

    trusts: tuple[str, ...]
    leaf: str
    says: tuple[str, ...] = ()
    says_issuer: str = ""
    mounted: tuple[str, ...] = ()
    mounted_issuer: str = ""
    signs: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Who rotates: what they have seen, whether that is for the second time, and what it rested on."""

    seen: Next | None = None
    twice: bool = False
    bundle: tuple[str, ...] = ()
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class World:
    bundle: tuple[str, ...] = (OLD,)
    issuer: str = OLD
    begun: bool = False
    over: bool = False
    # Of the control plane's templates.
    template: tuple[str, ...] = ()
    template_issuer: str = ""
    identities: tuple[Pod, ...] = ()
    injector: Pod = Pod((OLD,), OLD, mounted=(OLD,))
    apps: tuple[Pod, ...] = (Pod((OLD,), OLD),)
    # A pod that is admitted and not there yet, with how many people looked since.
    coming: tuple[tuple[str, ...], bool] | None = None
    # A certificate on its way to the first of the apps.
    signed: tuple[str, bool] | None = None
    people: tuple[Person, ...] = (Person(),)

    def pods(self) -> tuple[Pod, ...]:
        return (*self.identities, self.injector, *self.apps)

    def is_sound(self) -> bool:
        pods = self.pods()
        return all(one.leaf in other.trusts for one, other in product(pods, pods))

    def seen(self) -> Seen:
        proxies = (
            *(_ours(pod, steps.IDENTITY) for pod in self.identities),
            _ours(self.injector, "proxy-injector"),
            *(
                Proxy("shop", "app", "deploy/app", frozenset(p.trusts), issuer=p.leaf)
                for p in self.apps
            ),
        )
        rotation = ROTATION if self.begun else None
        return Seen(frozenset(self.bundle), self.issuer, proxies, rotation)


def _ours(pod: Pod, component: str) -> Proxy:
    """As it is known: by what its annotations say, never by what is inside."""
    known = frozenset(pod.says) or None
    return Proxy("linkerd", component, component, known, component, pod.leaf, pod.says_issuer)


IDENTITY = Pod((OLD,), OLD, mounted=(OLD,), mounted_issuer=OLD, signs=OLD)


def after(world: World, decide: Decide) -> Iterator[World]:
    """What can be a moment later."""
    yield from _mounts(world)
    yield from _replaced(world)
    yield from _apps(world)
    yield from _certificates(world)
    for number in range(len(world.people)):
        yield from _person(world, number, decide)


def _reloaded(pod: Pod) -> Pod:
    """An identity service takes an issuer that one of its anchors vouches for."""
    return replace(pod, signs=pod.mounted_issuer) if pod.mounted_issuer in pod.mounted else pod


def _mounts(world: World) -> Iterator[World]:
    """Each mount comes to show what is there, in its own time."""
    yield replace(world, injector=replace(world.injector, mounted=world.bundle))
    for number, pod in enumerate(world.identities):
        for shown in (
            replace(pod, mounted=world.bundle),
            replace(pod, mounted_issuer=world.issuer),
        ):
            yield _with_identity(world, number, _reloaded(shown))


def _with_identity(world: World, number: int, pod: Pod) -> World:
    there = list(world.identities)
    there[number] = pod
    return replace(world, identities=tuple(sorted(there)))


def _signers(world: World) -> set[str]:
    return {pod.signs for pod in world.identities}


def _replaced(world: World) -> Iterator[World]:
    """Pods of the control plane, by the newest template, whoever wanted it."""
    fresh = Pod(world.bundle, "", world.template, world.template_issuer, world.bundle)
    for leaf in _signers(world):
        yield replace(world, injector=replace(fresh, leaf=leaf, says_issuer=""))
    for number in range(len(world.identities)):
        mounted = replace(fresh, mounted_issuer=world.issuer, signs=world.issuer)
        if world.issuer in world.bundle:
            # It signs for itself.
            yield _with_identity(world, number, replace(mounted, leaf=world.issuer))


def _apps(world: World) -> Iterator[World]:
    """They come, through admission, and go."""
    if world.coming is None:
        yield replace(world, coming=(world.injector.mounted, False))
    else:
        for leaf in _signers(world):
            if len(world.apps) < 2:
                there = tuple(sorted((*world.apps, Pod(world.coming[0], leaf))))
                yield replace(world, apps=there, coming=None)
    for number in range(len(world.apps)):
        yield replace(world, apps=world.apps[:number] + world.apps[number + 1 :])


def _certificates(world: World) -> Iterator[World]:
    if world.signed is None:
        for signer in _signers(world):
            yield replace(world, signed=(signer, False))
    else:
        for number, pod in enumerate(world.apps):
            renewed = replace(pod, leaf=world.signed[0])
            there = tuple(sorted((*world.apps[:number], renewed, *world.apps[number + 1 :])))
            yield replace(world, apps=there, signed=None)
        if not world.apps:
            yield replace(world, signed=None)


def _person(world: World, number: int, decide: Decide) -> Iterator[World]:
    """Looks, and some time later does what that led to."""
    person = world.people[number]
    if person.seen is None:
        found = decide(world.seen())
        looked = Person(found, found.step not in IRREVOCABLE, world.bundle, world.issuer)
        yield _under_way(_with_person(world, number, looked))
    elif not person.twice:
        # So long that whatever was under way at the first look has arrived.
        if not any(one is not None and one[1] for one in (world.coming, world.signed)):
            again = decide(world.seen())
            same = again.step is person.seen.step
            looked = replace(person, twice=True, bundle=world.bundle, issuer=world.issuer)
            yield _with_person(world, number, looked if same else Person())
    else:
        done = _done(world, person)
        yield _with_person(done, number, Person())


def _under_way(world: World) -> World:
    coming = (world.coming[0], True) if world.coming else None
    signed = (world.signed[0], True) if world.signed else None
    return replace(world, coming=coming, signed=signed)


def _with_person(world: World, number: int, person: Person) -> World:
    people = list(world.people)
    people[number] = person
    return replace(world, people=tuple(people))


def _done(world: World, person: Person) -> World:
    """What the step does; nothing where somebody else has changed the same object since it was seen."""
    assert person.seen is not None
    step = person.seen.step
    same_bundle, same_issuer = person.bundle == world.bundle, person.issuer == world.issuer
    if step is Step.BEGIN:
        return replace(world, begun=True)
    if step is Step.ADD and same_bundle:
        return replace(world, bundle=(NEW, OLD))
    if step is Step.REMOVE and same_bundle:
        return replace(world, bundle=(NEW,))
    if step is Step.REPLACE_ISSUER and same_issuer:
        return replace(world, issuer=NEW)
    if step in (Step.RESTART_CONTROL_PLANE, Step.FORGET_IN_CONTROL_PLANE):
        return replace(world, template=person.bundle)
    if step is Step.RESTART_IDENTITY:
        return replace(world, template_issuer=person.issuer)
    if step is Step.FINISH:
        return replace(world, over=True)
    # The others wait for what happens anyhow.
    return world


def reached(
    decide: Decide, begin: World, *, most: int = 2_000_000
) -> tuple[int, set[str], World | None]:
    """How many states there are, which steps were taken, and the first state in which two do not trust."""
    known = {begin}
    waiting = deque([begin])
    taken: set[str] = set()
    while waiting:
        world = waiting.popleft()
        if world.over:
            taken.add("over")
            continue
        for person in world.people:
            if person.seen:
                taken.add(person.seen.step.name)
        for later in after(world, decide):
            if later in known:
                continue
            if not later.is_sound():
                return len(known), taken, later
            known.add(later)
            assert len(known) < most
            waiting.append(later)
    return len(known), taken, None


def test_no_order_of_events_parts_two_proxies() -> None:
    _, taken, parted = reached(next_step, World(identities=(IDENTITY,)))
    assert parted is None
    assert taken == {*(step.name for step in Step), "over"}


def test_nor_do_two_identity_services() -> None:
    """Without workloads: theirs are the same states once more."""
    _, taken, parted = reached(next_step, World(identities=(IDENTITY, IDENTITY), apps=()))
    assert parted is None
    assert "over" in taken


@given(st.integers(0, 2**63))
def test_nor_do_two_people_who_rotate_at_once(seed: int) -> None:
    """There are too many states to see them all: a walk through them, of a thousand moments."""
    chance = random.Random(seed)
    two = (Person(), Person())
    world = World(identities=(IDENTITY, IDENTITY), people=two)
    for _ in range(1000):
        world = chance.choice([*after(world, next_step)])
        assert world.is_sound(), world
        if world.over:
            return


def skipping(*steps_left_out: Step) -> Decide:
    """A decision that does not wait for these."""

    def decide(seen: Seen) -> Next:
        found = next_step(seen)
        if found.step not in steps_left_out:
            return found
        return Next(Step.REPLACE_ISSUER if seen.issuer == OLD else Step.REMOVE)

    return decide


@pytest.mark.parametrize(
    "left_out",
    [
        (Step.RESTART_CONTROL_PLANE, Step.RESTART_WORKLOADS),
        (Step.RESTART_WORKLOADS,),
        (Step.RENEW,),
        (Step.RESTART_IDENTITY, Step.RENEW),
    ],
)
def test_every_wait_is_needed(left_out: tuple[Step, ...]) -> None:
    _, _, parted = reached(skipping(*left_out), World(identities=(IDENTITY,)))
    assert parted is not None


@pytest.mark.parametrize("step", sorted(IRREVOCABLE, key=lambda step: step.name))
def test_one_look_is_not_enough(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.IRREVOCABLE", IRREVOCABLE - {step})
    _, _, parted = reached(next_step, World(identities=(IDENTITY,)))
    assert parted is not None
