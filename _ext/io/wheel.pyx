# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Slots of one tick each, a list of timers in each slot."""

from cpython.list cimport PyList_GET_ITEM
from libc.stdlib cimport calloc, free

from linkerd2_py._ext.core.clock cimport now_ns

cdef enum:
    # ticks: 41 s a revolution, so that nearly every timer is found once, when it is due.
    WHEEL = 4096
    WORDS = 64                # of `occupied`: WHEEL / 64 bits
    DUE = 4096                # the extra slot behind the last one


cdef class Wheel:
    def __cinit__(self):
        self.turned = now_ns() // TICK_NS
        self.slots = [None] * (WHEEL + 1)
        self.occupied = <uint64_t*> calloc(WORDS, sizeof(uint64_t))
        if self.occupied == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.occupied)

    cdef int arm(self, Timer timer, Actor owner, int64_t deadline) except -1:
        if timer.owner is not owner:
            timer.owner = owner
        if timer.armed:
            # A later deadline costs one store: the timer is moved when its old slot comes up.
            if deadline >= timer.deadline and timer.slot != DUE:
                timer.deadline = deadline
                return 0
            self.unlink(timer)
        timer.deadline = deadline
        return self.link(timer)

    cdef int disarm(self, Timer timer) except -1:
        if timer is None or not timer.armed:
            return 0
        self.unlink(timer)
        timer.owner = None
        return 0

    cdef int link(self, Timer timer) except -1:
        cdef int64_t tick = timer.deadline // TICK_NS + 1
        cdef uint32_t slot = <uint32_t> (tick % WHEEL)
        cdef Timer head = <Timer> PyList_GET_ITEM(self.slots, slot)
        timer.armed = True
        timer.slot = slot
        timer.next = head
        if head is not None:
            head.prev = timer
        self.slots[slot] = timer
        self.occupied[slot >> 6] |= (<uint64_t> 1) << (slot & 63)
        self.armed += 1
        if self.next_tick == 0 or tick < self.next_tick:
            self.next_tick = tick
        return 0

    cdef int link_due(self, Timer timer) except -1:
        timer.armed = True
        timer.slot = DUE
        timer.prev = self.due_tail
        if self.due_tail is None:
            self.slots[DUE] = timer
        else:
            self.due_tail.next = timer
        self.due_tail = timer
        self.armed += 1
        return 0

    cdef int unlink(self, Timer timer) except -1:
        cdef Timer prev = timer.prev
        cdef Timer next = timer.next
        cdef uint32_t slot = timer.slot
        timer.armed = False
        timer.prev = None
        timer.next = None
        self.armed -= 1
        if next is not None:
            next.prev = prev
        elif slot == DUE:
            self.due_tail = prev
        if prev is not None:
            prev.next = next
            return 0
        self.slots[slot] = next
        if next is None and slot != DUE:
            self.occupied[slot >> 6] &= ~((<uint64_t> 1) << (slot & 63))
        return 0

    # -- turning

    cdef int turn(self, int64_t now) except -1:
        cdef int64_t tick, current
        if self.next_tick == 0 or now < self.next_tick * TICK_NS:
            return 0
        current = now // TICK_NS
        tick = max(self.turned + 1, current - WHEEL + 1)
        while tick <= current:
            if self.occupied[(tick % WHEEL) >> 6] & (<uint64_t> 1) << (tick % WHEEL & 63):
                self.turn_slot(<uint32_t> (tick % WHEEL), current)
            tick += 1
        self.turned = current
        return self.find_next_tick()

    cdef int turn_slot(self, uint32_t slot, int64_t current) except -1:
        cdef Timer timer = <Timer> PyList_GET_ITEM(self.slots, slot)
        cdef Timer next
        while timer is not None:
            next = timer.next
            if timer.deadline // TICK_NS + 1 <= current:
                self.unlink(timer)
                self.link_due(timer)
            elif <uint32_t> ((timer.deadline // TICK_NS + 1) % WHEEL) != slot:
                self.unlink(timer)
                self.link(timer)
            timer = next
        return 0

    cdef int find_next_tick(self) except -1:
        """The next slot that holds anything."""
        cdef int64_t tick = self.turned + 1
        cdef int64_t last = self.turned + WHEEL
        cdef uint64_t word
        self.next_tick = 0
        if self.armed == 0:
            return 0
        while tick <= last:
            word = self.occupied[(tick % WHEEL) >> 6] >> (tick & 63)
            if word == 0:
                tick = (tick | 63) + 1
            elif word & 1:
                self.next_tick = tick
                return 0
            else:
                tick += 1
        return 0

    cdef Timer take_due(self):
        cdef Timer timer = <Timer> PyList_GET_ITEM(self.slots, DUE)
        self.unlink(timer)
        return timer

    cdef int clear(self) except -1:
        cdef int slot
        for slot in range(WHEEL + 1):
            while self.slots[slot] is not None:
                self.disarm(<Timer> self.slots[slot])
        return 0
