# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The few lines of io_uring that a batch of calls needs: two rings shared with the kernel, filled and emptied
within one `submit`."""

cdef extern from *:
    """
    #include <errno.h>
    #include <linux/io_uring.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    #ifndef IORING_SETUP_SUBMIT_ALL
    #define IORING_SETUP_SUBMIT_ALL (1U << 7)
    #endif

    enum { L5D_CALLS = 64, L5D_NOT_MADE = -5000 };

    typedef struct {
        int fd;
        unsigned unsubmitted;
        unsigned *sq_tail, sq_mask, *cq_head, *cq_tail, cq_mask;
        struct io_uring_sqe *entries;
        struct io_uring_cqe *completions;
        void *rings;
        size_t rings_size, entries_size;
    } l5d_ring;

    static void l5d_ring_close(l5d_ring *ring)
    {
        if (!ring)
            return;
        if (ring->entries && ring->entries != MAP_FAILED)
            munmap(ring->entries, ring->entries_size);
        if (ring->rings && ring->rings != MAP_FAILED)
            munmap(ring->rings, ring->rings_size);
        if (ring->fd >= 0)
            close(ring->fd);
        free(ring);
    }

    static int l5d_ring_map(l5d_ring *ring, const struct io_uring_params *params)
    {
        size_t sq = params->sq_off.array + params->sq_entries * sizeof(unsigned);
        size_t cq = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
        unsigned at, *array;
        char *base;
        ring->rings_size = sq > cq ? sq : cq;
        ring->entries_size = params->sq_entries * sizeof(struct io_uring_sqe);
        ring->rings = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                           ring->fd, IORING_OFF_SQ_RING);
        ring->entries = mmap(NULL, ring->entries_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                             ring->fd, IORING_OFF_SQES);
        if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED)
            return 0;
        base = ring->rings;
        ring->sq_tail = (unsigned *)(base + params->sq_off.tail);
        ring->sq_mask = *(unsigned *)(base + params->sq_off.ring_mask);
        ring->cq_head = (unsigned *)(base + params->cq_off.head);
        ring->cq_tail = (unsigned *)(base + params->cq_off.tail);
        ring->cq_mask = *(unsigned *)(base + params->cq_off.ring_mask);
        ring->completions = (struct io_uring_cqe *)(base + params->cq_off.cqes);
        array = (unsigned *)(base + params->sq_off.array);
        for (at = 0; at < params->sq_entries; at++)
            array[at] = at;
        return 1;
    }

    /* SUBMIT_ALL (Linux 5.18): one call that fails must not keep the later ones from being made. */
    static l5d_ring *l5d_ring_open(void)
    {
        struct io_uring_params params;
        l5d_ring *ring = calloc(1, sizeof *ring);
        if (!ring)
            return NULL;
        memset(&params, 0, sizeof params);
        params.flags = IORING_SETUP_SUBMIT_ALL;
        ring->fd = (int)syscall(__NR_io_uring_setup, L5D_CALLS, &params);
        if (ring->fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP) || !l5d_ring_map(ring, &params)) {
            l5d_ring_close(ring);
            return NULL;
        }
        return ring;
    }

    static void l5d_ring_put(l5d_ring *ring, int opcode, int fd, void *memory, size_t size, int flags,
                             unsigned number)
    {
        unsigned tail = *ring->sq_tail;
        struct io_uring_sqe *entry = &ring->entries[tail & ring->sq_mask];
        memset(entry, 0, sizeof *entry);
        entry->opcode = (unsigned char)opcode;
        entry->fd = fd;
        entry->addr = (unsigned long)memory;
        entry->len = (unsigned)size;
        entry->msg_flags = (unsigned)flags;
        entry->user_data = number;
        __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
        ring->unsubmitted++;
    }

    static unsigned l5d_ring_reap(l5d_ring *ring, int *results)
    {
        unsigned head = *ring->cq_head, reaped = 0;
        unsigned tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++, reaped++) {
            struct io_uring_cqe *done = &ring->completions[head & ring->cq_mask];
            if (done->user_data < L5D_CALLS)
                results[done->user_data] = done->res;
        }
        __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
        return reaped;
    }

    /* 0, or -1 when the kernel did not take all: what it left must never be submitted later, so the ring has
       to be closed. */
    static int l5d_ring_submit(l5d_ring *ring, int *results)
    {
        long due = ring->unsubmitted, made = 0, number;
        long taken = syscall(__NR_io_uring_enter, ring->fd, due, 0, 0, NULL, 0);
        ring->unsubmitted = 0;
        if (taken < 0)
            taken = 0;
        made = l5d_ring_reap(ring, results);
        /* A call that does not wait is over by now. Were one not, its memory would still be the kernel's:
           wait for it. */
        while (made < taken) {
            if (syscall(__NR_io_uring_enter, ring->fd, 0, taken - made, IORING_ENTER_GETEVENTS, NULL, 0) < 0
                && errno != EINTR)
                break;
            made += l5d_ring_reap(ring, results);
        }
        /* Taken and not heard of: it may have been made, and must not be made twice. */
        for (number = 0; number < taken; number++)
            if (results[number] == L5D_NOT_MADE)
                results[number] = -EIO;
        return taken == due ? 0 : -1;
    }
    """
    ctypedef struct l5d_ring
    l5d_ring* l5d_ring_open() noexcept
    void l5d_ring_close(l5d_ring* ring) noexcept
    void l5d_ring_put(
        l5d_ring* ring, int opcode, int fd, void* memory, size_t size, int flags, unsigned number
    ) noexcept
    int l5d_ring_submit(l5d_ring* ring, int* results) noexcept
    enum: IORING_OP_RECV, IORING_OP_SEND, MSG_DONTWAIT, MSG_NOSIGNAL


cdef class Ring:
    def __dealloc__(self):
        self.close()

    cdef int put_recv(self, int fd, char* dst, size_t room) noexcept:
        return self.put(IORING_OP_RECV, fd, dst, room, MSG_DONTWAIT)

    cdef int put_send(self, int fd, const char* src, size_t size) noexcept:
        self.sending += size
        return self.put(IORING_OP_SEND, fd, <char*> src, size, MSG_DONTWAIT | MSG_NOSIGNAL)

    cdef int submit(self) noexcept:
        cdef int count = self.count
        self.count = 0
        self.sending = 0
        if count and l5d_ring_submit(<l5d_ring*> self.mapped, self.results) < 0:
            self.close()
        return count

    cdef bint is_open(self) noexcept:
        return self.mapped != NULL

    cdef int close(self) noexcept:
        l5d_ring_close(<l5d_ring*> self.mapped)
        self.mapped = NULL
        return 0

    cdef int put(self, int opcode, int fd, char* memory, size_t size, int flags) noexcept:
        cdef int number = self.count
        self.results[number] = NOT_MADE
        self.count += 1
        l5d_ring_put(<l5d_ring*> self.mapped, opcode, fd, memory, size, flags, number)
        return 0


cdef Ring open_ring():
    cdef Ring ring
    cdef l5d_ring* mapped = l5d_ring_open()
    if mapped == NULL:
        return None
    ring = Ring.__new__(Ring)
    ring.mapped = mapped
    return ring
