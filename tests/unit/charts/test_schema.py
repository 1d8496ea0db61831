"""Values against the schema of the chart, with jsonschema as the oracle."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.charts.schema import mistakes
from linkerd2_py.charts.values import defaults, schema

DEFAULTS = defaults()
ORACLE = jsonschema.Draft7Validator(schema())


def paths(found: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    below = found.items() if isinstance(found, dict) else ()
    for key, one in below:
        yield from paths(one, (*path, key))


WORDS = st.sampled_from(
    [
        *(
            "",
            "1",
            "25,587",
            "1-",
            "a/b",
            "a",
            "10s",
            "1h30m",
            "plain",
            "Fail",
            "Never",
            "100m",
            "1.5Gi",
        ),
        *("10.0.0.0/8", "10.0.0.0/8,", "::/0", "deny", "cluster.local", "linkerd.io/tls", "x y"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70_000) | st.floats(0, 2) | WORDS,
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "namespace", "limit", "x"]), below, max_size=2)
    ),
    max_leaves=4,
)


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


@given(path=st.sampled_from(list(paths(DEFAULTS))), value=VALUES, key=st.none() | WORDS)
def test_whatever_is_changed_is_judged_as_the_standard_judges_it(
    path: tuple[str, ...], value: Any, key: str | None
) -> None:
    values = copy.deepcopy(DEFAULTS)
    place = values
    for word in path[:-1]:
        place = place[word]
    if key is None:
        place[path[-1]] = value
    else:
        place[key] = value
    found = list(mistakes(values, schema()))
    assert bool(found) != ORACLE.is_valid(values), (path, value, found)


FREE = (
    *("namespaceSelector.", "objectSelector.", "securityContext.", "capabilities."),
    *("nodeSelector.", "deploymentStrategy.", "meshedHttp2ClientProtobuf.", "tracing.labels."),
    *("prometheus.args.", "prometheus.globalConfig."),
)
"""Below these a user says what Kubernetes, destination or Prometheus understands."""


def test_a_value_may_be_left_out_nowhere() -> None:
    """So what templates refer to is there, whatever a user takes away by null."""
    for path in paths(DEFAULTS):
        said = ".".join(map(str, path))
        if any(one in said for one in FREE):
            continue
        values = copy.deepcopy(DEFAULTS)
        place = values
        for word in path[:-1]:
            place = place[word]
        del place[path[-1]]
        assert list(mistakes(values, schema())) == [f"{said}: is missing"]
