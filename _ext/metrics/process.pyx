# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""process_* in Prometheus' usual names, from /proc and libc. Only the start time is kept between scrapes."""

from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport strtoull
from libc.string cimport strchr, strrchr
from posix.fcntl cimport O_RDONLY, open as c_open
from posix.resource cimport RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, rlimit
from posix.stat cimport struct_stat, stat as c_stat
from posix.time cimport CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport _SC_CLK_TCK, _SC_PAGESIZE, close as c_close, read as c_read, sysconf
from linkerd2_py._ext.metrics.text cimport Text, text_put_number, text_put_z

cdef extern from "<dirent.h>" nogil:
    struct dirent:
        char* d_name
    DIR* opendir(const char* name)
    dirent* readdir(DIR* folder)
    int closedir(DIR* folder)

cdef extern from "<time.h>" nogil:
    const int CLOCK_BOOTTIME

cdef enum:
    ENTRIES_PER_STEP = 256    # about a microsecond each
    THREADS_FIELD = 20        # proc(5): num_threads in /proc/self/stat
    START_FIELD = 22          # proc(5): starttime in /proc/self/stat, in clock ticks since boot


cdef class ProcessSample:
    """One reading of this process."""

    def __dealloc__(self):
        if self.folder != NULL:
            closedir(self.folder)

    cdef bint advance(self) noexcept:
        cdef int left = ENTRIES_PER_STEP
        cdef dirent* entry
        if self.counted:
            return True
        if self.folder == NULL:
            self.open_fds = fd_count_of_stat()
            if self.open_fds > 0:
                self.counted = True
                return True
            self.open_walk()
        while self.folder != NULL and left > 0:
            entry = readdir(self.folder)
            if entry == NULL:
                closedir(self.folder)
                self.folder = NULL
                # The walk saw its own descriptor.
                self.open_fds -= 1
                break
            self.open_fds += entry.d_name[0] != c'.'
            left -= 1
        self.counted = self.folder == NULL
        return self.counted

    cdef int open_walk(self) noexcept:
        self.folder = opendir(b"/proc/self/fd")
        # Out of descriptors, or no /proc: the line is left out.
        self.open_fds = -1 if self.folder == NULL else 0
        return 0

    cdef int write(self, Text* text) except -1:
        cdef timespec cpu
        cdef rlimit files
        cdef uint64_t pages[2]
        cdef uint64_t threads
        cdef uint64_t page = sysconf(_SC_PAGESIZE)
        write_seconds(
            text, b"process_start_time_seconds", b"gauge",
            b"When the process started, in seconds since 1970.", STARTED,
        )
        write_seconds(
            text, b"process_clock_time_seconds", b"gauge",
            b"The time by the system's clock, in seconds since 1970.", seconds_of(CLOCK_REALTIME),
        )
        write_seconds(
            text, b"process_uptime_seconds_total", b"counter",
            b"How long the process has been running, in seconds.",
            AGE + seconds_of(CLOCK_BOOTTIME) - READ_AT,
        )
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu)
        write_seconds(
            text, b"process_cpu_seconds_total", b"counter",
            b"CPU time used, user and system, in seconds.", cpu.tv_sec + cpu.tv_nsec / 1e9,
        )
        if stat_field(THREADS_FIELD, &threads):
            write_number(text, b"process_threads", b"Threads of the process.", threads)
        if self.open_fds >= 0:
            write_number(text, b"process_open_fds", b"File descriptors open now.", self.open_fds)
        if getrlimit(RLIMIT_NOFILE, &files) == 0 and files.rlim_cur != RLIM_INFINITY:
            write_number(text, b"process_max_fds", b"File descriptors that may be open.", files.rlim_cur)
        if read_pages(pages):
            write_number(text, b"process_virtual_memory_bytes", b"Address space in bytes.", pages[0] * page)
            write_number(
                text, b"process_resident_memory_bytes", b"Memory resident in bytes.", pages[1] * page,
            )
        return 0


cdef ProcessSample opendir_fds():
    cdef ProcessSample sample = ProcessSample()
    sample.open_walk()
    return sample


cdef long fd_count_of_stat() noexcept nogil:
    """Open descriptors as the size of the folder (Linux 6.2 and later); 0 on older kernels."""
    cdef struct_stat found
    return found.st_size if c_stat(b"/proc/self/fd", &found) == 0 else 0


cdef ssize_t read_small(const char* path, char* target, size_t room) noexcept nogil:
    """Up to `room` - 1 bytes of a file of /proc as a C string; -1 when it cannot be read."""
    cdef int fd = c_open(path, O_RDONLY)
    cdef ssize_t count
    if fd < 0:
        return -1
    count = c_read(fd, target, room - 1)
    c_close(fd)
    if count >= 0:
        target[count] = 0
    return count


cdef bint read_pages(uint64_t* pages) noexcept nogil:
    """proc(5) statm: total and resident size in pages."""
    cdef char line[256]
    cdef char* rest
    if read_small(b"/proc/self/statm", line, sizeof(line)) <= 0:
        return False
    pages[0] = strtoull(line, &rest, 10)
    pages[1] = strtoull(rest, NULL, 10)
    return True


cdef bint stat_field(int wanted, uint64_t* value) noexcept nogil:
    """proc(5) stat: one of the numbers behind the name."""
    cdef char line[1024]
    cdef char* at
    cdef int field = 2
    if read_small(b"/proc/self/stat", line, sizeof(line)) <= 0:
        return False
    # Field 2, the name in parentheses, may hold spaces and parentheses: count from the last one.
    at = strrchr(line, c')')
    while at != NULL and field < wanted:
        at = strchr(at + 1, c' ')
        field += 1
    if at == NULL:
        return False
    value[0] = strtoull(at + 1, NULL, 10)
    return True


cdef double seconds_of(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return now.tv_sec + now.tv_nsec / 1e9


cdef double start_time_seconds() noexcept:
    cdef uint64_t ticks
    if not stat_field(START_FIELD, &ticks):
        return 0
    return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + ticks / <double> sysconf(_SC_CLK_TCK)


cdef void write_head(Text* text, const char* name, const char* kind, const char* help) noexcept:
    text_put_z(text, b"# HELP ")
    text_put_z(text, name)
    text_put_z(text, b" ")
    text_put_z(text, help)
    text_put_z(text, b"\n# TYPE ")
    text_put_z(text, name)
    text_put_z(text, b" ")
    text_put_z(text, kind)
    text_put_z(text, b"\n")
    text_put_z(text, name)
    text_put_z(text, b" ")


cdef void write_number(Text* text, const char* name, const char* help, uint64_t value) noexcept:
    write_head(text, name, b"gauge", help)
    text_put_number(text, value)
    text_put_z(text, b"\n")


cdef void write_seconds(
    Text* text, const char* name, const char* kind, const char* help, double value,
) noexcept:
    cdef char digits[64]
    write_head(text, name, kind, help)
    snprintf(digits, sizeof(digits), b"%.2f", value)
    text_put_z(text, digits)
    text_put_z(text, b"\n")


# Read once: it must not move with the wall clock, nor vanish when descriptors run out.
cdef double STARTED = start_time_seconds()
# How old the process was when that was read, and when that was since the machine's start: steps of the wall
# clock make nobody older.
cdef double READ_AT = seconds_of(CLOCK_BOOTTIME)
cdef double AGE = seconds_of(CLOCK_REALTIME) - STARTED if STARTED else 0
