"""A service of several replicas in virtual time: clients in a closed loop, the real balancer, no clock and no
socket.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.p2c import Candidate, ReadySet

MS = 1_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """How an exchange ends: after how long, and what that says of the replica."""

    after_ns: int
    served: bool = True
    gives_up: bool = False
    """The client ends it, and nobody knows what the replica would have said."""
    late: bool = False
    """It looked like an answer first, and failed at its end."""
    weight: float = 1.0
    hold_ns: int = 0


Behaviour = Callable[[int], Answer]
"""What a replica does with an exchange that is sent at that time."""


def good(rtt_ms: float = 5) -> Behaviour:
    return lambda _now: Answer(round(rtt_ms * MS))


def closes(after_ms: float = 0.2, **details: object) -> Behaviour:
    return lambda _now: Answer(round(after_ms * MS), served=False, **details)  # type: ignore[arg-type]


def hangs(deadline_ms: float = 50) -> Behaviour:
    return lambda _now: Answer(round(deadline_ms * MS), served=False, gives_up=True)


@dataclass(slots=True)
class Model:
    """Replicas behind one set, and what became of the exchanges."""

    behaviours: list[Behaviour]
    seed: int = 1
    now: int = SECOND
    ready: ReadySet = field(init=False)
    replicas: list[Candidate] = field(init=False)
    served: Counter[bool] = field(default_factory=Counter)
    shares: Counter[int] = field(default_factory=Counter)
    longest_run: int = 0
    _run: tuple[int, int] = (-1, 0)

    def __post_init__(self) -> None:
        self.ready = door.ready_set(seed=self.seed)
        self.replicas = [Candidate() for _ in self.behaviours]
        for replica in self.replicas:
            door.add(self.ready, replica, now=self.now)

    def run(self, seconds: float, *, clients: int = 1, pause_ms: float = 0) -> float:
        """So long; the share that was served. Each client sends its next request `pause_ms` after the end of
        its last.
        """
        self.served.clear()
        self.shares.clear()
        self.longest_run = 0
        order = itertools.count()
        end = self.now + round(seconds * SECOND)
        due: list[tuple[int, int, Callable[[], Callable[[], object] | None]]] = []

        def at(when: int, step: Callable[[], None]) -> None:
            heapq.heappush(due, (when, next(order), step))  # type: ignore[arg-type]

        def send() -> None:
            sent, which = self.now, self._choose()
            answer = self.behaviours[which](sent)

            def finish() -> None:
                self._record(self.replicas[which], answer, sent)
                at(self.now + round(pause_ms * MS), send)

            at(sent + answer.after_ns, finish)

        for client in range(clients):
            at(self.now + client * 1000, send)
        while due[0][0] < end:
            self.now, _, step = heapq.heappop(due)
            step()
        # What is under way is let go of without a word.
        for replica in self.replicas:
            while door.pending(replica):
                door.cancel(replica)
        self.now = end
        return self.served[True] / max(1, self.served.total())

    def _choose(self) -> int:
        chosen = door.pick(self.ready, now=self.now)
        assert chosen is not None
        door.begin(chosen)
        which = self.replicas.index(chosen)
        self.shares[which] += 1
        last, length = self._run
        self._run = (which, length + 1 if which == last else 1)
        self.longest_run = max(self.longest_run, self._run[1])
        return which

    def _record(self, replica: Candidate, answer: Answer, sent: int) -> None:
        self.served[answer.served] += 1
        if answer.gives_up:
            door.give_up(replica, answer.after_ns, now=self.now)
        elif answer.served or answer.late:
            door.complete(replica, answer.after_ns, now=self.now)
        else:
            door.cancel(replica)
        if answer.gives_up:
            return
        if answer.served:
            door.succeed(replica, sent=sent, now=self.now)
        else:
            door.fail(
                replica, sent=sent, now=self.now, weight=answer.weight, hold_ns=answer.hold_ns
            )
