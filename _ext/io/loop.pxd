"""The inner event loop: an epoll set with generation-checked slots, deferred work and a coarse timer wheel.

Its fd is registered once with the outer loop (`add_reader(loop.fileno(), loop.drain)`); one `drain` is one
Python call per batch.
"""

from cpython.list cimport PyList_GET_SIZE
from cython cimport final
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.ring cimport Ring
from linkerd2_py._ext.io.sleep cimport BusyWait, SharedSleep
from linkerd2_py._ext.io.wheel cimport Wheel

cdef class Loop

cdef class Source(Actor):
    """Something with a file descriptor in the epoll set."""
    cdef Loop loop
    cdef int fd                            # owned; -1 after close
    cdef uint32_t slot                     # index in loop.sources; meaningful while registered
    cdef uint32_t generation
    cdef flag registered
    cdef flag flush_queued                 # already in the loop's flush queue
    cdef Source next_flush                 # owned link of that queue; None outside
    cdef int on_event(self, uint32_t events) except -1   # EPOLL* bits; edge-triggered
    cdef int on_flush(self) except -1                    # queued with Loop.flush_later: the end of this batch
    cdef int on_loop_closed(self) except -1              # release the fd, no callbacks
    # Reading and writing in one system call for a whole batch. A source puts its call into the ring and is
    # told the result, both without calling anybody else; False: it has nothing to put and acts by itself in
    # on_event or on_flush. The result may be NOT_MADE.
    cdef bint put_recv(self, uint32_t events, Ring ring) noexcept   # on_event follows after on_received
    cdef int on_received(self, int outcome) noexcept
    cdef bint put_send(self, Ring ring) noexcept
    cdef int on_sent(self, int outcome) except -1

@final
cdef class Loop:
    cdef int epfd                          # owned
    cdef int timerfd                       # owned; in the epoll set itself
    # Owned; in the epoll set itself: readable when deferred work waits for the next drain.
    cdef int wakefd
    cdef public bint busy_wait             # may wait without sleeping, a little, where that pays
    # In ns, refreshed once per epoll_wait and at timer expiry: use this, not the clock, on the hot path.
    cdef public int64_t now
    cdef int64_t fetched_at                # `now` of the last epoll_wait: timers are due by that
    # callable(exception, actor) or None: prints each type of exception once.
    cdef public object on_error
    # slot -> Source or None; the reference that keeps a registered source alive.
    cdef list sources
    cdef uint32_t* free_slots              # owned; a stack of slots whose source is gone
    cdef uint32_t free_count, free_room
    cdef uint32_t generation               # of the latest registration
    # How many descriptors the process may have open; what a loop was made under holds for its life.
    cdef uint64_t descriptors
    # One turn: what epoll_wait gave, then deferred work, then due timers, then flushes. Kept here so that an
    # exception loses nothing.
    cdef void* events                      # owned epoll_event[BATCH]
    # Owned; None where the kernel has none, or none is wanted: each source makes its own calls.
    cdef Ring ring
    cdef PyObject* batch[64]               # owned references: sources of this round of flushes, in order
    cdef int[64] outcomes                  # of their sends; ALONE: it had nothing to put into the ring
    cdef int batch_size, batch_cursor
    cdef int batch_was                     # events of the last turn
    cdef int ready, cursor
    cdef int phase
    cdef Actor current                     # whose callback runs
    cdef int64_t slice_end                 # clock ns: when the phase that runs is to end
    cdef int64_t looked                    # the clock when it was last read for that
    cdef int steps_left                    # small pieces until it is read again
    cdef bint draining, woken
    cdef BusyWait spin                     # owned
    cdef SharedSleep shared                # owned
    # Deferred and flush queues
    cdef Actor deferred_head, deferred_tail
    cdef Py_ssize_t deferred_count, deferred_round
    cdef Source flush_head, flush_tail
    cdef Py_ssize_t flush_count, flush_round
    cdef Wheel wheel                       # owned: the timers
    cdef int64_t alarm_tick                # what the timerfd was set to
    # Statistics
    cdef uint64_t drains, turns, handled, wakes, fired, errors
    cdef uint64_t shared_calls             # made through the ring
    cdef set printed                       # types of exceptions already printed

    # Registers edge-triggered for IN|OUT|RDHUP once; no epoll_ctl afterwards until remove. Raises OSError
    # when the kernel watches no more for us (ENOSPC, ENOMEM): that is the end of this one source, and of
    # nobody else.
    cdef int add(self, Source source, uint32_t events) except -1
    # Idempotent; bumps the generation so that queued events die.
    cdef int remove(self, Source source) except -1
    cdef int defer(self, Actor actor) except -1           # idempotent while queued
    cdef int flush_later(self, Source source) except -1   # idempotent while queued
    cdef int arm(self, Timer timer, Actor owner, int64_t delay_ns) except -1   # re-arming moves it
    cdef int disarm(self, Timer timer) except -1          # idempotent
    # Budgeted (256 events or 500 us): then yields to the outer loop. The loop's fd stays readable while work
    # remains, whatever its kind.
    # One turn is bounded, too: whoever has much to do asks `is_spent` between two pieces of it, and defers
    # the rest. A piece is a read of bulk, a step of a handshake, an accepted connection, a waiter that is let
    # go: about 300 us at most. Outside of a turn the time is always up.
    cpdef object drain(self)
    # Python: fileno(), close(), stats() -> dict, run_inside(...), run_until(predicate, timeout_s) for tests
    # without an outer loop.

    # Whether this phase's time is up. Reads the clock once for some small pieces, and for each that was said
    # to be large (`weigh`).
    cdef inline bint is_spent(self) noexcept:
        self.steps_left -= 1
        return self.steps_left < 0 and self.look()

    cdef inline int weigh(self) noexcept:
        self.steps_left = 0
        return 0

    # Its sources hold so many quarters of the descriptors that there can be: nothing is opened, or kept, that
    # nobody waits for, while there are some left for those who come.
    cdef inline bint is_crowded(self, uint32_t quarters) noexcept:
        cdef uint64_t held = PyList_GET_SIZE(self.sources) - self.free_count
        return held >= self.descriptors // 4 * quarters

    # An exception that escaped `actor` while somebody else called it: reported, and the actor ended.
    cdef int blame(self, object error, Actor actor) except -1
    cdef bint look(self) noexcept
    cdef int enter(self, int phase) noexcept
    cdef bint next_batch(self) except -1
    cdef bint poll(self) except -1
    cdef bint fetched(self, int ready) except -1
    cdef bint wait_busily(self) except -1
    cdef bint sleep(self) except -1
    cdef bint has_work(self) noexcept
    cdef int wake(self) except -1
    cdef int run_turn(self) except -1
    cdef int run_phases(self) except -1
    cdef int run_events(self) except -1
    cdef int run_deferred(self) except -1
    cdef int run_timers(self) except -1
    cdef int run_flushes(self) except -1
    cdef int receive_batch(self) noexcept
    # Whether there is one more batch to flush: always the first, others while there is time.
    cdef inline bint next_flushes(self) noexcept:
        return (self.batch_size == 0 or not self.is_spent()) and self.send_batch() > 0

    cdef int send_batch(self) noexcept
    cdef Source take_flush(self)
    cdef Source source_of(self, const void* ready)
    cdef int check_ring(self) noexcept
    cdef int forget_batch(self) noexcept
    cdef int broke(self, object error) except -1
    cdef int report(self, object error, Actor actor) except -1
    cdef int watch(self, int fd) except -1
    # The timerfd fires when the wheel has to be turned.
    cdef inline int follow_wheel(self) except -1:
        if self.wheel.next_tick == self.alarm_tick or self.wheel.next_tick == 0:
            return 0
        return self.set_timerfd(self.wheel.next_tick)

    cdef int set_timerfd(self, int64_t tick) except -1
