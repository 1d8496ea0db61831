"""Runs between fork and exec: tie this process to its parent's life, put it in its place, become the program.

Executed as a file by `python -I -S`, so it imports nothing of this package. Arguments: the parent's
process id, the signal to get when it dies, then where and as whom to run (all optional), `--`, and the
program's argv:

    --files N      with this many descriptors at first, though the parent has more
    --netns NAME   in the network namespace /run/netns/NAME
    --etc FOLDER   with the files of FOLDER in place of those of /etc, for this program alone
    --uid UID      as that user, with no privilege left
    --reach FOLDER but to read files, where it could not reach this folder, the interpreter or this package
                   otherwise: for programs of ours, and for no other
"""

import ctypes
import os
import pwd
import resource
import struct
import sys

# What `execvp` imports when it is called: then this user may not be able to read it any more.
import warnings  # noqa: F401

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000

libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Exec, or 127 with one line on stderr."""
    end = arguments.index("--")
    parent, death_signal, argv = int(arguments[0]), int(arguments[1]), arguments[end + 1 :]
    places = dict(zip(arguments[2:end:2], arguments[3:end:2], strict=True))
    try:
        enter(places)
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        # The parent may have died before prctl: then no signal will ever come.
        if os.getppid() != parent:
            return 127
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]!r}: {error.strerror}\n")
    return 127


def enter(places: dict[str, str]) -> None:
    """Everything but the program itself. OSError if a step is refused."""
    if "--files" in places:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(places["--files"]), most))
    if "--netns" in places:
        fd = os.open(f"/run/netns/{places['--netns']}", os.O_RDONLY | os.O_CLOEXEC)
        check(libc.setns(fd, CLONE_NEWNET))
        os.close(fd)
    if "--etc" in places:
        cover_etc(places["--etc"])
    if "--uid" in places:
        become(int(places["--uid"]), reach=places.get("--reach"))


def cover_etc(folder: str) -> None:
    """Mounts that only this program and what it starts can see."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None))
    with os.scandir(folder) as entries:
        pairs = [(entry.path, os.path.realpath(f"/etc/{entry.name}")) for entry in entries]
    for source, target in pairs:
        if os.access(target, os.F_OK):
            check(libc.mount(os.fsencode(source), os.fsencode(target), None, MS_BIND, None))


def become(uid: int, *, reach: str | None) -> None:
    """Change the user for good; without `reach`, to one that has no capability. A death signal asked for
    before would be forgotten here.
    """
    try:
        entry = pwd.getpwuid(uid)
        gid, groups = entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
    except KeyError:
        gid, groups = uid, []
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    if reach is None or readable(sys.executable, __file__, reach):
        hold(set())
    else:
        hold({CAP_DAC_READ_SEARCH})


def readable(*paths: str) -> bool:
    """Whether this user may read them; a home folder is often closed to others."""
    return all(os.access(path, os.R_OK) for path in paths)


def hold(capabilities: set[int]) -> None:
    """Keep these capabilities, through exec too, and no other."""
    bits = sum(1 << number for number in capabilities)
    header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
    data = struct.pack("6I", bits, bits, bits, 0, 0, 0)
    check(libc.capset(header, data))
    for number in capabilities:
        check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0))


def check(result: int) -> None:
    """OSError for a system call that was refused."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
