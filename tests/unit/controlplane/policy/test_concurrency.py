"""The annotations of a Server that limit its requests in flight."""

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import ConcurrencyLimit, ConcurrencyOverride
from linkerd2_py.controlplane.policy.concurrency import (
    IDENTITY,
    OVERRIDES,
    TOTAL,
    AnnotationError,
    concurrency_limit,
)
from linkerd2_py.controlplane.sources.kubernetes.policy import read_server


@pytest.mark.parametrize(
    ("annotations", "limit"),
    [
        ({}, None),
        ({"other": "1"}, None),
        ({TOTAL: "1"}, ConcurrencyLimit(1)),
        ({TOTAL: " 2147483647 "}, ConcurrencyLimit(2147483647)),
        ({IDENTITY: "3"}, ConcurrencyLimit(identity=3)),
        (
            {TOTAL: "5", OVERRIDES: "bot=5, tester.qa=2,"},
            ConcurrencyLimit(
                5,
                overrides=(
                    ConcurrencyOverride(5, (Key("shop", "bot"),)),
                    ConcurrencyOverride(2, (Key("qa", "tester"),)),
                ),
            ),
        ),
    ],
)
def test_what_they_say(annotations: dict[str, str], limit: ConcurrencyLimit | None) -> None:
    assert concurrency_limit(annotations, namespace="shop") == limit


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ({TOTAL: "0"}, TOTAL),
        ({TOTAL: "-1"}, TOTAL),
        ({TOTAL: "many\x1b[2J"}, TOTAL),
        ({TOTAL: "2147483648"}, TOTAL),
        ({TOTAL: "9" * 5000}, TOTAL),
        ({TOTAL: "٣"}, TOTAL),
        ({IDENTITY: ""}, IDENTITY),
        ({TOTAL: "1", IDENTITY: "2"}, IDENTITY),
        ({OVERRIDES: "bot"}, OVERRIDES),
        ({OVERRIDES: "bot=0"}, OVERRIDES),
        ({OVERRIDES: "=3"}, OVERRIDES),
        ({OVERRIDES: "Bot=3"}, OVERRIDES),
        ({TOTAL: "1", OVERRIDES: "bot=2"}, OVERRIDES),
    ],
)
def test_what_they_cannot_say_is_named_and_limits_nobody(
    annotations: dict[str, str], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AnnotationError) as raised:
        concurrency_limit(annotations, namespace="shop")
    assert str(raised.value).startswith(f"{named}: ")
    assert "\x1b" not in str(raised.value)
    found = {
        "metadata": {"namespace": "shop", "name": "web", "annotations": annotations},
        "spec": {"podSelector": {}, "port": 80},
    }
    assert read_server(found).concurrency is None
    assert named in caplog.text
