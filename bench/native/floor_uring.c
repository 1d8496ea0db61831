/* One io_uring_enter for all recvs, then one for all sends, on registered files. */
#include "floor.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int ring_fd = -1;
static char *rings;
static struct io_uring_sqe *entries;
static size_t rings_size, entries_size;
static unsigned *submit_tail, *submit_array, submit_mask;
static unsigned *complete_head, *complete_tail, complete_mask;
static struct io_uring_cqe *completions;

static void *mapped(size_t size, off_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd, offset);
    if (memory == MAP_FAILED)
        die("mmap of the ring: %s", strerror(errno));
    return memory;
}

static void map_rings(const struct io_uring_params *made)
{
    size_t submit_size = made->sq_off.array + made->sq_entries * sizeof(unsigned);
    size_t complete_size = made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    rings_size = submit_size > complete_size ? submit_size : complete_size;
    rings = mapped(rings_size, IORING_OFF_SQ_RING);
    submit_tail = (unsigned *)(rings + made->sq_off.tail);
    submit_array = (unsigned *)(rings + made->sq_off.array);
    submit_mask = made->sq_entries - 1;
    complete_head = (unsigned *)(rings + made->cq_off.head);
    complete_tail = (unsigned *)(rings + made->cq_off.tail);
    complete_mask = made->cq_entries - 1;
    completions = (struct io_uring_cqe *)(rings + made->cq_off.cqes);
    entries_size = made->sq_entries * sizeof *entries;
    entries = mapped(entries_size, IORING_OFF_SQES);
}

/* The proxy's sockets by number: first those that face the clients. */
static bool register_files(struct rig *rig)
{
    int *files = allocated(2 * rig->count, sizeof *files);
    memcpy(files, rig->proxy[CLIENT], rig->count * sizeof *files);
    memcpy(files + rig->count, rig->proxy[SERVER], rig->count * sizeof *files);
    long done = syscall(__NR_io_uring_register, ring_fd, IORING_REGISTER_FILES, files, 2 * rig->count);
    free(files);
    return done >= 0;
}

static const char *open_ring(struct rig *rig)
{
    struct io_uring_params made = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    ring_fd = (int)syscall(__NR_io_uring_setup, rig->count, &made);
    if (ring_fd < 0)
        return errno == EINVAL ? "the kernel is older than 6.1" : strerror(errno);
    if (!register_files(rig)) {
        const char *reason = strerror(errno);
        close(ring_fd);
        return reason;
    }
    if (!(made.features & IORING_FEAT_SINGLE_MMAP))
        die("io_uring without a single mapping"); /* all that know DEFER_TASKRUN have one */
    map_rings(&made);
    set_blocking(rig, true); /* else a recv that is too early fails instead of waiting */
    return NULL;
}

/* Submits one operation for each connection and waits for all of them. */
static void run(struct rig *rig, uint8_t operation, enum side side, size_t size)
{
    unsigned tail = *submit_tail, count = rig->count;
    for (unsigned i = 0; i < count; i++, tail++) {
        unsigned slot = tail & submit_mask;
        entries[slot] = (struct io_uring_sqe){
            .opcode = operation,
            .flags = IOSQE_FIXED_FILE,
            .fd = (int)(side * count + i),
            .addr = (uintptr_t)passing(rig, i),
            .len = size,
            .msg_flags = MSG_NOSIGNAL | MSG_WAITALL,
        };
        submit_array[slot] = slot;
    }
    __atomic_store_n(submit_tail, tail, __ATOMIC_RELEASE);

    unsigned head = *complete_head, end = head + count, submitted = 0;
    while (__atomic_load_n(complete_tail, __ATOMIC_ACQUIRE) != end) {
        long taken = syscall(__NR_io_uring_enter, ring_fd, count - submitted, count, IORING_ENTER_GETEVENTS, NULL, 0);
        if (taken < 0 && errno != EINTR)
            die("io_uring_enter: %s", strerror(errno));
        submitted += taken > 0 ? taken : 0;
    }
    for (; head != end; head++) {
        int result = completions[head & complete_mask].res;
        if (result != (int)size)
            die("io_uring: %s", result < 0 ? strerror(-result) : "a message was cut");
    }
    __atomic_store_n(complete_head, head, __ATOMIC_RELEASE);
}

static void pass(struct rig *rig, enum side from, int64_t ns[STEPS])
{
    int64_t begin = now_ns();
    run(rig, IORING_OP_RECV, from, rig->size[from]);
    int64_t received = now_ns();
    run(rig, IORING_OP_SEND, 1 - from, rig->size[from]);
    ns[RECEIVE] += received - begin;
    ns[SEND] += now_ns() - received;
}

static void close_ring(void)
{
    munmap(entries, entries_size);
    munmap(rings, rings_size);
    close(ring_fd);
}

const struct backend uring_backend = {.name = "io_uring", .open = open_ring, .pass = pass, .close = close_ring};
