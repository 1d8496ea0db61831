"""Who asks, as proxies write it."""

import pytest

from linkerd2_py.controlplane.policy.workload import (
    AskingWorkload,
    InvalidWorkloadError,
    parse_workload,
)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('{"ns": "shop", "pod": "web-0"}', AskingWorkload("shop", pod="web-0")),
        (
            '{"ns": "shop", "external_workload": "vm"}',
            AskingWorkload("shop", external_workload="vm"),
        ),
        ("shop:web-0", AskingWorkload("shop", pod="web-0")),
    ],
)
def test_a_pod_or_an_external_workload(written: str, found: AskingWorkload) -> None:
    assert parse_workload(written) == found


@pytest.mark.parametrize(
    "written",
    ["", "x", ":pod", "shop:", "{}", "{", '{"ns": 1, "pod": "a"}', '{"ns": "shop", "other": "a"}'],
)
def test_nobody_is_refused_with_what_was_said(written: str) -> None:
    with pytest.raises(InvalidWorkloadError) as refused:
        parse_workload(written)
    assert str(refused.value) == f"Invalid workload: {written}"
