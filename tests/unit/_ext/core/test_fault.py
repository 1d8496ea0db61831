"""errno to fault, errno to label, fault to text."""

import errno

import pytest

from linkerd2_py._ext.io.testing import FAULTS, errno_label, fault_name, fault_texts


@pytest.mark.parametrize(
    ("code", "connecting", "established"),
    [
        (0, "none", "none"),
        (errno.ECONNREFUSED, "refused", "io"),
        (errno.ECONNRESET, "refused", "reset"),
        (errno.EPIPE, "io", "reset"),
        (errno.ETIMEDOUT, "connect_timeout", "timeout"),
        (errno.EHOSTUNREACH, "unreachable", "timeout"),
        (errno.ENETUNREACH, "unreachable", "timeout"),
        (errno.EACCES, "unreachable", "io"),
        (errno.EPERM, "unreachable", "io"),
        (errno.EADDRNOTAVAIL, "unreachable", "io"),
        (errno.EMFILE, "no_fds", "no_fds"),
        (errno.ENFILE, "no_fds", "no_fds"),
        (errno.ENOMEM, "no_memory", "no_memory"),
        (errno.ENOBUFS, "no_memory", "no_memory"),
        (errno.EDOM, "io", "io"),
    ],
)
def test_each_errno_has_its_fault(code, connecting, established):
    assert fault_name(code, connecting=True) == connecting
    assert fault_name(code, connecting=False) == established


def test_labels_are_the_names_of_the_errno():
    for name in ("ECONNRESET", "EPIPE", "ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "EMFILE"):
        assert errno_label(getattr(errno, name)) == name
    assert errno_label(0) == ""


def test_labels_are_a_closed_set():
    names = {errno_label(code) for code in range(1, 200)}
    assert "EOTHER" in names
    assert len(names) < 30
    assert names - {"EOTHER"} <= set(errno.errorcode.values())


def test_every_fault_has_a_header_safe_text():
    texts = fault_texts()
    assert texts.keys() == set(FAULTS)
    assert texts.pop("none") == ""
    assert all(text and text.isascii() and text.isprintable() for text in texts.values())
    assert len(set(texts.values())) == len(texts)
