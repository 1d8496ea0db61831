# cython: language_level=3
"""The target table."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.pool.settings cimport PoolSettings
from linkerd2_py._ext.route.tally cimport new_tally
from linkerd2_py._ext.tls.identity cimport LocalIdentity


cdef class TargetTable(Side):

    def __init__(
        self, Loop loop not None, Registry registry not None, *, str direction, PoolSettings settings,
        on_unknown_target, on_idle_target=None, idle_ns=5_000_000_000, bytes metrics_prefix=b"",
        LocalIdentity identity=None,
    ):
        self.loop = loop
        self.registry = registry
        self.direction = direction
        self.settings = settings
        self.identity = identity
        self.on_unknown_target = on_unknown_target
        self.on_idle_target = on_idle_target
        self.idle_ns = idle_ns
        self.by_key = {}
        self.metrics_prefix = metrics_prefix
        self.sweep = Timer(self, 0)
        self.unaddressed = new_tally(registry, direction, b"", b"", b'protocol="detect"')

    cdef Target find(self, bytes key):
        cdef Target target = self.by_key.get(key)
        if target is None:
            target = self.install(key)
            self.watch_idle()
            self.on_unknown_target(target)
        return target

    cdef Target current(self, Target target):
        return self.find(target.key) if target.closed else target

    def lookup(self, bytes key not None):
        """The target of that key, asking the shell when it is new: as traffic does."""
        self.loop.now = now_ns()
        return self.find(key)

    def install(self, bytes key not None):
        """The target of that key without asking the shell (static targets)."""
        target = self.by_key.get(key)
        if target is None:
            target = self.by_key[key] = Target(self, key)
        return target

    def remove(self, Target target not None):
        if self.by_key.get(target.key) is target:
            del self.by_key[target.key]
        target.close()

    def targets(self):
        return list(self.by_key.values())

    def close(self):
        self.loop.disarm(self.sweep)
        for target in self.targets():
            self.remove(target)

    cdef int watch_idle(self) except -1:
        if self.on_idle_target is not None and not self.sweep.armed:
            self.loop.arm(self.sweep, self, self.idle_ns)
        return 0

    cdef int on_broken(self) except -1:
        return self.watch_idle()

    cdef int on_timer(self, Timer timer) except -1:
        """Tells the shell which targets nobody used for a while; it decides what goes."""
        cdef Target target
        cdef int64_t limit = self.loop.now - self.idle_ns
        for target in self.targets():
            if target.live == 0 and target.last_used <= limit:
                self.on_idle_target(target)
        return self.watch_idle() if self.by_key else 0
