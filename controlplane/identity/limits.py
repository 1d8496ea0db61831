"""How many certificates one identity may have, so that a workload in a loop cannot starve the others."""

from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

# All replicas of a workload share an identity and may start together; a signature takes a fraction of a
# millisecond.
BURST: Final = 1_000
PER_SECOND: Final = 20.0
# More identities than this, and those at rest are forgotten.
_TABLE: Final = 10_000


class CertifyLimiter:
    """A bucket per identity, kept as the time at which it will be full again.

    Ask it only about identities that were proven: else a stranger could empty a workload's bucket.
    """

    def __init__(self, clock: Clock, *, burst: int = BURST, per_second: float = PER_SECOND) -> None:
        self._clock = clock
        self._step_s = 1 / per_second
        self._allowance_s = burst / per_second
        self._full_at: dict[str, float] = {}

    @property
    def identities(self) -> int:
        """How many are remembered."""
        return len(self._full_at)

    def take(self, identity: str) -> None:
        """Count one certificate; `RefusedError` when it is one too many, which is not counted."""
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(identity, now), now) + self._step_s
        wait_s = full_at - now - self._allowance_s
        # Sums of steps are not exact; a thousandth of a step is no overdraft.
        if wait_s > self._step_s / 1000:
            raise RefusedError(
                Reason.RATE,
                f"{identity!r} asks for too many certificates: try again in {wait_s:.1f} s",
            )
        if len(self._full_at) >= _TABLE:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        self._full_at[identity] = full_at
