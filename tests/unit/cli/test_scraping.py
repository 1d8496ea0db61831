"""Metrics as they are shown."""

from __future__ import annotations

from linkerd2_py.cli.scraping import obfuscated


def test_what_tells_names_is_hidden_and_still_told_apart() -> None:
    metrics = (
        'request_total{direction="inbound",authority="web:80",client_id="a\\"b",pod="web-0"} 3\n'
        'request_total{authority="web:80",dst_service="web"} 4\n'
        'x{addr="web:80",target_addr="web:80",parent_name="web",backend_namespace="web",parent_port="80"} 5\n'
    )
    assert obfuscated(metrics) == (
        'request_total{direction="inbound",authority="630bb7ee",client_id="e87f8dfc",pod="web-0"} 3\n'
        'request_total{authority="630bb7ee",dst_service="4b5e57f6"} 4\n'
        'x{addr="630bb7ee",target_addr="630bb7ee",parent_name="4b5e57f6",backend_namespace="4b5e57f6",'
        'parent_port="80"} 5\n'
    )
