# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The inner event loop. It knows descriptors, actors and time; what the bytes mean is its sources' business.

A turn is: events, deferred work, due timers, flushes. Where a turn stands is kept in the loop, so that an
exception that escapes one actor ends that actor and the turn goes on behind it. Each phase has its time, so
that none of them can starve the others; what it did not get to is done in the next turn, before anything new
is fetched.
"""

import sys
import traceback

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from posix.time cimport CLOCK_MONOTONIC, itimerspec
from posix.unistd cimport close

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check
from linkerd2_py._ext.core.process cimport descriptors_max
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.linux cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLET,
    EPOLLIN,
    POLLIN,
    TFD_CLOEXEC,
    TFD_NONBLOCK,
    TFD_TIMER_ABSTIME,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    eventfd,
    eventfd_write,
    poll_fds,
    pollfd,
    timerfd_create,
    timerfd_settime,
)
from linkerd2_py._ext.io.outer cimport open_outer
from linkerd2_py._ext.io.ring cimport CALLS, NOT_MADE, Ring, open_ring
from linkerd2_py._ext.io.sleep cimport OUTER, SPIN_NS, BusyWait, SharedSleep
from linkerd2_py._ext.io.wheel cimport TICK_NS, Wheel

cdef enum:
    BATCH = CALLS             # events per epoll_wait; about 500 us of work
    BUDGET_EVENTS = 256       # per drain: then the outer loop gets its turn
    BUDGET_NS = 500000        # the same in time: a timer of the outer loop is late by no more
    PHASE_NS = 250000         # of a turn, each: half of the budget, so that others get some, too
    # By so much events may go on beyond it: most are small, and what is large has put itself off by then.
    SMALL_EVENTS_NS = 500000
    SMALL_STEPS = 4           # between two looks at the clock: a look costs as much as the smallest step
    BATCH_BYTES = 524288      # of one shared send, in which nobody else gets a turn: about 200 us of copying
    ALONE_BATCH = 4           # sources of one round that write by themselves: bulk, each of them
    LOOK_MS = 10              # run_until, between two looks at its predicate
    MAX_DELAY_NS = 31536000000000000   # a year: keeps deadlines far from overflow
    SHARED = 2                # calls from which on one system call for all is cheaper than one each
    ALONE = NOT_MADE - 1      # no outcome of a call
    FEW_EVENTS = 2            # of a batch: with more there is work enough without waiting

# What events carry that are for no source: slots that cannot be.
cdef uint64_t NOBODY = <uint64_t> 0xFFFFFFFF

cdef enum Phase:
    PHASE_EVENTS, PHASE_DEFERRED, PHASE_TIMERS, PHASE_FLUSHES, PHASE_DONE


cdef class Source(Actor):
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if L5D_DEBUG:
            check(
                not self.registered or self.loop is None or self.loop.epfd < 0,
                b"a registered source was freed",
            )
        if self.fd >= 0:
            close(self.fd)

    cdef int on_event(self, uint32_t events) except -1:
        return 0

    cdef int on_flush(self) except -1:
        return 0

    cdef bint put_recv(self, uint32_t events, Ring ring) noexcept:
        return False

    cdef int on_received(self, int outcome) noexcept:
        return 0

    cdef bint put_send(self, Ring ring) noexcept:
        return False

    cdef int on_sent(self, int outcome) except -1:
        return 0

    cdef int on_loop_closed(self) except -1:
        if self.loop is not None:
            self.loop.remove(self)
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        return 0

    cdef int on_broken(self) except -1:
        return self.on_loop_closed()


cdef class Loop:
    """One thread's event loop. Not re-entrant: `drain` called from inside a callback returns at once.

    `io_uring`: batches of reads and writes go through it where the kernel allows; `busy_wait`: a lightly
    loaded loop may spend up to 50 us in waiting without sleeping, where its last waits were short.
    """

    def __cinit__(self, *, bint io_uring=True, bint busy_wait=True):
        self.epfd = self.timerfd = self.wakefd = -1
        self.now = self.fetched_at = now_ns()
        self.sources = []
        self.descriptors = descriptors_max()
        self.wheel = Wheel()
        self.spin = BusyWait()
        self.shared = SharedSleep()
        self.printed = set()
        self.phase = PHASE_DONE
        self.events = malloc(BATCH * sizeof(epoll_event))
        if self.events == NULL:
            raise MemoryError
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        self.timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        self.wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.epfd < 0 or self.timerfd < 0 or self.wakefd < 0:
            raise OSError(errno, "cannot create the event loop's descriptors")
        self.shared.epfd = self.epfd
        self.watch(self.timerfd)
        self.watch(self.wakefd)
        self.ring = open_ring() if io_uring else None
        self.busy_wait = busy_wait

    def __dealloc__(self):
        self.forget_batch()
        for fd in (self.epfd, self.timerfd, self.wakefd):
            if fd >= 0:
                close(fd)
        free(self.events)
        free(self.free_slots)

    cdef int watch(self, int fd) except -1:
        # Edge-triggered and never read: each write or expiry is a fresh edge, and a stale count does no harm.
        cdef epoll_event event
        event.events = EPOLLIN | EPOLLET
        event.data.u64 = NOBODY
        if epoll_ctl(self.epfd, EPOLL_CTL_ADD, fd, &event) < 0:
            raise OSError(errno, "epoll_ctl")
        return 0

    # -- sources

    cdef int add(self, Source source, uint32_t events) except -1:
        cdef epoll_event event
        if self.epfd < 0:
            raise RuntimeError("the loop is closed")
        self.generation += 1
        source.loop = self
        source.generation = self.generation
        if self.free_count:
            source.slot = self.free_slots[self.free_count - 1]
        else:
            source.slot = <uint32_t> PyList_GET_SIZE(self.sources)
        event.events = events | EPOLLET
        event.data.u64 = (<uint64_t> source.generation) << 32 | source.slot
        if epoll_ctl(self.epfd, EPOLL_CTL_ADD, source.fd, &event) < 0:
            raise OSError(errno, "epoll_ctl")
        if self.free_count:
            self.free_count -= 1
            self.sources[source.slot] = source
        else:
            self.sources.append(source)
        source.registered = True
        return 0

    cdef int remove(self, Source source) except -1:
        if not source.registered:
            return 0
        if self.free_count == self.free_room:
            self.grow_free_slots()
        source.registered = False
        # A failure means that the descriptor is gone already; the generation guards against what is queued.
        if self.epfd >= 0 and source.fd >= 0:
            epoll_ctl(self.epfd, EPOLL_CTL_DEL, source.fd, NULL)
        self.free_slots[self.free_count] = source.slot
        self.free_count += 1
        self.sources[source.slot] = None
        return 0

    def grow_free_slots(self) -> None:
        cdef uint32_t room = self.free_room * 2 if self.free_room else 64
        cdef uint32_t* grown = <uint32_t*> realloc(self.free_slots, room * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        self.free_slots = grown
        self.free_room = room

    # -- deferred work

    cdef int defer(self, Actor actor) except -1:
        if actor.deferred or self.epfd < 0:
            return 0
        actor.deferred = True
        if self.deferred_tail is None:
            self.deferred_head = actor
        else:
            self.deferred_tail.next_deferred = actor
        self.deferred_tail = actor
        self.deferred_count += 1
        return 0 if self.draining else self.wake()

    cdef int flush_later(self, Source source) except -1:
        if source.flush_queued or self.epfd < 0:
            return 0
        source.flush_queued = True
        if self.flush_tail is None:
            self.flush_head = source
        else:
            self.flush_tail.next_flush = source
        self.flush_tail = source
        self.flush_count += 1
        return 0 if self.draining else self.wake()

    cdef int wake(self) except -1:
        """Keeps the loop's fd readable, so that the outer loop calls `drain` again."""
        if self.woken:
            return 0
        self.woken = True
        self.wakes += 1
        eventfd_write(self.wakefd, 1)
        return 0

    # -- turns

    cpdef object drain(self):
        cdef int spent = 0
        cdef int64_t started
        if self.draining or self.epfd < 0:
            return None
        self.draining = True
        self.woken = False
        self.drains += 1
        self.now = self.shared.entered_at = started = now_ns()
        self.batch_was = BATCH
        self.spin.woken(self.now)
        try:
            while self.next_batch():
                spent += self.ready - self.cursor
                self.run_turn()
                self.now = now_ns()
                if self.shared.owning:
                    if self.shared.is_outers_turn(self.now, self.cursor < self.ready):
                        break
                elif spent >= BUDGET_EVENTS or self.now - started >= BUDGET_NS:
                    break
        finally:
            self.draining = False
            self.spin.slept_at = self.now
            if self.shared.owning:
                self.shared.give_back()
            if self.has_work():
                self.wake()
        return None

    cdef bint next_batch(self) except -1:
        """Something to do, waited for if need be; false: the outer loop's turn."""
        # Few came last time: the sleep looks first, too.
        if (not self.shared.owning or self.batch_was > FEW_EVENTS or self.has_work()) and self.poll():
            return True
        return self.wait_busily() or self.sleep()

    cdef bint poll(self) except -1:
        """Fetches a batch without waiting; false when there is nothing to do at all."""
        if self.epfd < 0:
            return False
        if self.phase != PHASE_DONE:
            return True
        if self.cursor < self.ready:
            self.enter(PHASE_EVENTS)
            return True
        return self.fetched(epoll_wait(self.epfd, <epoll_event*> self.events, BATCH, 0))

    cdef bint fetched(self, int ready) except -1:
        self.ready = max(ready, 0)
        self.fetched_at = self.now
        if ready < 0 and errno != EINTR:
            raise OSError(errno, "epoll_wait")
        self.cursor = 0
        if self.ready == 0 and not self.has_work():
            return False
        self.enter(PHASE_EVENTS)
        if self.ready >= SHARED and self.ring is not None:
            self.receive_batch()
        return True

    # -- waiting

    cdef bint wait_busily(self) except -1:
        """Looks for events again and again for a moment; whether there was one."""
        cdef int64_t began = self.now
        if not self.spin.pays or not self.busy_wait or self.batch_was > FEW_EVENTS or self.epfd < 0:
            return False
        self.spin.tried += 1
        while self.now - began < SPIN_NS:
            self.now = now_ns()
            if self.poll():
                return self.spin.hit()
        return self.spin.missed()

    cdef bint sleep(self) except -1:
        """Until there is an event for us or the outer loop's turn; false when it is its turn at once."""
        cdef int ready, wait_ms
        if self.shared.outer is None or self.epfd < 0 or self.has_work():
            return False
        if not (self.shared.owning or self.shared.take_over()):
            return False
        wait_ms = self.shared.wait_ms(self.now)
        if wait_ms == 0:
            return False
        self.shared.sleeps += 1
        self.spin.slept_at = self.now
        with nogil:
            ready = epoll_wait(self.epfd, <epoll_event*> self.events, BATCH, wait_ms)
        self.now = now_ns()
        self.spin.woken(self.now)
        self.fetched(ready)
        # Woken for the outer loop alone: a turn without events.
        self.enter(PHASE_EVENTS)
        return True

    cdef bint has_work(self) noexcept:
        if self.epfd < 0:
            return False
        if self.phase != PHASE_DONE or self.cursor < self.ready or self.deferred_count or self.flush_count:
            return True
        return self.wheel.is_due(self.now)

    cdef int run_turn(self) except -1:
        """Runs the turn to its end.

        A failing actor is ended and reported; only what is not an `Exception` goes through.
        """
        self.turns += 1
        self.batch_was = self.ready - self.cursor
        while self.phase != PHASE_DONE:
            try:
                self.run_phases()
            except Exception as error:
                self.broke(error)
        self.current = None
        self.slice_end = 0
        self.steps_left = 0
        return 0

    cdef int enter(self, int phase) noexcept:
        # Since the later of the two only some small pieces were done: no need to look again.
        self.phase = phase
        self.slice_end = max(self.now, self.looked) + PHASE_NS
        self.steps_left = SMALL_STEPS
        return 0

    cdef bint look(self) noexcept:
        self.looked = now_ns()
        if self.looked >= self.slice_end:
            self.steps_left = 0
            return True
        self.steps_left = SMALL_STEPS
        return False

    cdef int run_phases(self) except -1:
        if self.phase == PHASE_EVENTS:
            self.run_events()
            self.deferred_round = self.deferred_count
            self.enter(PHASE_DEFERRED)
        if self.phase == PHASE_DEFERRED:
            self.run_deferred()
            # To the moment at which events were fetched last, and not while some of those wait: however
            # long this process was not let run, what came before a deadline is heard before the deadline.
            if self.cursor >= self.ready:
                self.wheel.turn(self.fetched_at)
                self.follow_wheel()
            self.enter(PHASE_TIMERS)
        if self.phase == PHASE_TIMERS:
            self.run_timers()
            self.flush_round = self.flush_count
            self.batch_cursor = self.batch_size = 0
            self.enter(PHASE_FLUSHES)
        if self.phase == PHASE_FLUSHES:
            self.run_flushes()
            self.phase = PHASE_DONE
        return 0

    cdef int run_events(self) except -1:
        cdef epoll_event* event
        cdef Source source
        while self.cursor < self.ready:
            event = (<epoll_event*> self.events) + self.cursor
            self.cursor += 1
            source = self.source_of(event)
            if source is None:
                continue
            self.handled += 1
            self.current = source
            source.on_event(event.events)
            if self.is_spent() and self.looked >= self.slice_end + SMALL_EVENTS_NS:
                break
        return 0

    cdef Source source_of(self, const void* ready):
        """Whom an event is for; None when it is gone."""
        cdef const epoll_event* event = <const epoll_event*> ready
        cdef uint32_t slot = <uint32_t> event.data.u64
        cdef Source source
        if slot >= <uint32_t> PyList_GET_SIZE(self.sources):
            self.shared.outer_due = self.shared.outer_due or event.data.u64 == <uint64_t> OUTER
            return None
        source = <Source> PyList_GET_ITEM(self.sources, slot)
        if source is None or source.generation != <uint32_t> (event.data.u64 >> 32):
            return None
        return source

    cdef int receive_batch(self) noexcept:
        """Reads for all that are ready.

        Nobody is called back here, so what the kernel writes to stays where it is.
        """
        cdef const epoll_event* events = <const epoll_event*> self.events
        cdef Source source
        cdef uint64_t asked = 0
        cdef int at, number = 0
        for at in range(self.ready):
            source = self.source_of(&events[at])
            if source is not None and source.put_recv(events[at].events, self.ring):
                asked |= <uint64_t> 1 << at
        self.shared_calls += self.ring.submit()
        for at in range(self.ready):
            if asked >> at & 1:
                self.source_of(&events[at]).on_received(self.ring.results[number])
                number += 1
        return self.check_ring()

    cdef int check_ring(self) noexcept:
        if self.ring.mapped == NULL:
            self.ring = None
        return 0

    cdef int run_deferred(self) except -1:
        cdef Actor actor
        while self.deferred_round > 0 and self.deferred_head is not None:
            self.deferred_round -= 1
            self.deferred_count -= 1
            actor = self.deferred_head
            self.deferred_head = actor.next_deferred
            if self.deferred_head is None:
                self.deferred_tail = None
            actor.next_deferred = None
            actor.deferred = False
            self.current = actor
            actor.on_deferred()
            if self.is_spent():
                break
        return 0

    cdef int run_timers(self) except -1:
        cdef Timer timer
        cdef Actor owner
        while self.wheel.due_tail is not None:
            timer = self.wheel.take_due()
            owner = timer.owner
            timer.owner = None
            self.fired += 1
            self.current = owner
            owner.on_timer(timer)
            if self.is_spent():
                break
        return 0

    cdef int run_flushes(self) except -1:
        cdef Source source
        cdef int outcome
        # What was written for a batch is told to all of it, whatever the time.
        while self.batch_cursor < self.batch_size or self.next_flushes():
            source = <Source> self.batch[self.batch_cursor]
            Py_DECREF(source)
            outcome = self.outcomes[self.batch_cursor]
            self.batch_cursor += 1
            self.current = source
            if outcome == ALONE:
                source.on_flush()
            else:
                source.on_sent(outcome)
        return 0

    cdef int send_batch(self) noexcept:
        """Writes for the sources of this round, as many as fit one batch; how many were taken from the
        queue."""
        cdef Source source
        cdef bint shared = self.ring is not None and self.flush_round >= SHARED
        cdef int at, number = 0, alone = 0
        self.batch_cursor = self.batch_size = 0
        while self.flush_round > 0 and self.flush_head is not None and self.batch_size < BATCH:
            self.flush_round -= 1
            source = self.take_flush()
            Py_INCREF(source)
            self.batch[self.batch_size] = <PyObject*> source
            self.outcomes[self.batch_size] = 0 if shared and source.put_send(self.ring) else ALONE
            alone += self.outcomes[self.batch_size] == ALONE
            self.batch_size += 1
            if alone == ALONE_BATCH or (shared and self.ring.sending >= BATCH_BYTES):
                break
        if not shared:
            return self.batch_size
        self.shared_calls += self.ring.submit()
        for at in range(self.batch_size):
            if self.outcomes[at] != ALONE:
                self.outcomes[at] = self.ring.results[number]
                number += 1
        self.check_ring()
        return self.batch_size

    cdef Source take_flush(self):
        cdef Source source = self.flush_head
        self.flush_count -= 1
        self.flush_head = source.next_flush
        if self.flush_head is None:
            self.flush_tail = None
        source.next_flush = None
        source.flush_queued = False
        return source

    cdef int forget_batch(self) noexcept:
        cdef Source source
        while self.batch_cursor < self.batch_size:
            source = <Source> self.batch[self.batch_cursor]
            self.batch_cursor += 1
            Py_DECREF(source)
        return 0

    cdef int broke(self, object error) except -1:
        cdef Actor actor = self.current
        self.current = None
        return self.blame(error, actor)

    cdef int blame(self, object error, Actor actor) except -1:
        self.report(error, actor)
        if actor is None:
            return 0
        try:
            actor.on_broken()
        except Exception as second:
            self.report(second, actor)
        return 0

    cdef int report(self, object error, Actor actor) except -1:
        self.errors += 1
        if self.on_error is None:
            if type(error) not in self.printed:
                self.printed.add(type(error))
                print(f"linkerd2-py: {type(actor).__name__} failed and was ended:", file=sys.stderr)
                traceback.print_exception(error, file=sys.stderr)
            return 0
        try:
            self.on_error(error, actor)
        except Exception as own:
            traceback.print_exception(own, file=sys.stderr)
        return 0

    # -- timers

    cdef int arm(self, Timer timer, Actor owner, int64_t delay_ns) except -1:
        if self.epfd < 0:
            return 0
        if not self.draining:
            self.now = now_ns()
        self.wheel.arm(timer, owner, self.now + min(max(delay_ns, <int64_t> 0), <int64_t> MAX_DELAY_NS))
        return self.follow_wheel()

    cdef int disarm(self, Timer timer) except -1:
        return self.wheel.disarm(timer)

    cdef int set_timerfd(self, int64_t tick) except -1:
        cdef itimerspec setting
        setting.it_interval.tv_sec = 0
        setting.it_interval.tv_nsec = 0
        setting.it_value.tv_sec = tick * TICK_NS // 1000000000
        setting.it_value.tv_nsec = tick * TICK_NS % 1000000000
        if timerfd_settime(self.timerfd, TFD_TIMER_ABSTIME, &setting, NULL) < 0:
            raise OSError(errno, "timerfd_settime")
        self.alarm_tick = tick
        return 0

    # -- the Python face

    def fileno(self) -> int:
        """What the outer loop watches for reading."""
        return self.epfd

    def run_inside(self, outer: object, *, loop_t: object, library: str) -> bool:
        """Let a libuv loop call `drain`, and sleep for it: an event then costs one wake-up instead of two,
        for while nothing is to be done `drain` waits for both and returns when it is the outer loop's turn.
        False, and nothing is changed, when `library` does not show libuv's functions.

        `outer`: the asyncio loop that owns the uv_loop_t of the capsule `loop_t`. Ended by `close`, before
        `outer` is closed.
        """
        if self.shared.outer is None and self.epfd >= 0:
            self.shared.outer = open_outer(outer, loop_t, library, self.epfd, self.drain)
            if self.shared.outer is not None:
                self.shared.outer.watch()
        return self.shared.outer is not None

    def leave(self) -> None:
        """The outer loop calls `drain` no more. Idempotent."""
        self.shared.leave()

    def work_off(self, timeout_s: float) -> None:
        """Turns until nothing is left that was put off, or the time is over: before `close`, so that what was
        told to end does."""
        cdef int64_t end = now_ns() + <int64_t> (timeout_s * 1e9)
        self.drain()
        while self.has_work() and now_ns() < end:
            self.drain()

    def close(self) -> None:
        """Releases every source without callbacks, forgets timers and deferred work. Idempotent."""
        cdef Source source
        if self.epfd < 0:
            return
        for source in list(self.sources):
            if source is not None:
                source.on_loop_closed()
        self.forget_queues()
        self.leave()
        for fd in (self.epfd, self.timerfd, self.wakefd):
            close(fd)
        self.epfd = self.timerfd = self.wakefd = -1
        self.ring = None

    def forget_queues(self) -> None:
        cdef Actor actor
        cdef Source source
        while self.deferred_head is not None:
            actor = self.deferred_head
            self.deferred_head = actor.next_deferred
            actor.next_deferred = None
            actor.deferred = False
        self.deferred_tail = None
        self.deferred_count = 0
        while self.flush_head is not None:
            source = self.flush_head
            self.flush_head = source.next_flush
            source.next_flush = None
            source.flush_queued = False
        self.flush_tail = None
        self.flush_count = 0
        self.forget_batch()
        self.wheel.clear()

    def stats(self) -> dict[str, int]:
        """Counters since the start, and what is registered now."""
        return {
            "drains": self.drains,
            "turns": self.turns,
            "events": self.handled,
            "wakes": self.wakes,
            "timers_fired": self.fired,
            "errors": self.errors,
            "sleeps": self.shared.sleeps,
            "spins": self.spin.tried,
            "spin_hits": self.spin.hits,
            "io_uring": self.ring is not None,
            "shared_calls": self.shared_calls,
            "sources": len(self.sources) - self.free_count,
            "timers": self.wheel.armed,
            "deferred": self.deferred_count,
        }

    def run_until(self, predicate, timeout_s: float = 60.0) -> bool:
        """Drives the loop alone, as an outer loop would, until `predicate()` is true or the time is over;
        tells whether it became true."""
        cdef pollfd waiting
        cdef int64_t end = now_ns() + <int64_t> (timeout_s * 1e9)
        cdef int timeout_ms
        while not predicate():
            if now_ns() >= end or self.epfd < 0:
                return False
            # The predicate may depend on what happens outside the loop: look again now and then.
            timeout_ms = <int> min((end - now_ns()) // 1000000 + 1, <int64_t> LOOK_MS)
            waiting.fd = self.epfd
            waiting.events = POLLIN
            waiting.revents = 0
            with nogil:
                poll_fds(&waiting, 1, timeout_ms)
            self.drain()
        return True
