"""What connections turn out to speak."""

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

MS = 1_000_000


def test_all_results_are_there_from_the_first_connection_on() -> None:
    registry = Registry()
    held = [door.detect(registry, b"outbound", b'parent_name="web"', 1, 2 * MS)]
    held.append(door.detect(registry, b"outbound", b'parent_name="web"', 3, 200 * MS))
    text = b"".join(registry.render(0)).decode()
    assert [line for line in text.splitlines() if line.startswith("outbound_")] == [
        'outbound_tcp_detect_http_results_total{result="not_http",parent_name="web"} 0',
        'outbound_tcp_detect_http_results_total{result="http/1",parent_name="web"} 1',
        'outbound_tcp_detect_http_results_total{result="http/2",parent_name="web"} 0',
        'outbound_tcp_detect_http_results_total{result="read_timeout",parent_name="web"} 1',
        'outbound_tcp_detect_http_results_total{result="error",parent_name="web"} 0',
        'outbound_tcp_detect_http_duration_seconds_bucket{parent_name="web",le="0.001"} 0',
        'outbound_tcp_detect_http_duration_seconds_bucket{parent_name="web",le="0.1"} 1',
        'outbound_tcp_detect_http_duration_seconds_bucket{parent_name="web",le="+Inf"} 2',
        'outbound_tcp_detect_http_duration_seconds_sum{parent_name="web"} 0.202',
        'outbound_tcp_detect_http_duration_seconds_count{parent_name="web"} 2',
    ]
