"""What could not be served, by reason."""

import re

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

LINKERDS = {
    *("failfast", "loadshed", "i/o", "identity required", "response timeout", "unexpected"),
    *("tls detection timeout", "gateway domain invalid"),
}


def lines(registry: Registry) -> list[str]:
    text = b"".join(registry.render(0)).decode()
    return [line for line in text.splitlines() if re.match("(in|out)bound_", line)]


def test_linkerds_words_are_among_them() -> None:
    assert set(door.error_words()) >= LINKERDS


def test_the_same_reason_adds_to_the_same_series() -> None:
    registry = Registry()
    words = door.error_words()
    for word in ("failfast", "failfast", "tls"):
        door.count_error(registry, b"outbound", b"", words.index(word))
    door.count_error(registry, b"inbound", b'target_port="80"', words.index("failfast"))
    assert lines(registry) == [
        'outbound_http_errors_total{error="failfast"} 2',
        'outbound_http_errors_total{error="tls"} 1',
        'inbound_http_errors_total{error="failfast",target_port="80"} 1',
    ]


def test_a_refused_connection_is_one_that_broke() -> None:
    registry = Registry()
    for error, word in enumerate(door.error_words()):
        if word == "i/o":
            door.count_error(registry, b"outbound", b"", error)
    assert lines(registry) == ['outbound_http_errors_total{error="i/o"} 2']


def test_what_is_no_error_of_the_proxy_is_not_counted() -> None:
    registry = Registry()
    words = door.error_words()
    for word in ("", "cancelled", "denied"):
        door.count_error(registry, b"outbound", b"", words.index(word))
    assert lines(registry) == []
