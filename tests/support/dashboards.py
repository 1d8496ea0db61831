"""Dashboards as Grafana asks them: variables put in, and the questions of panels to a real Prometheus."""

import re
from collections.abc import Mapping
from typing import Any

import httpx2

from linkerd2_py.charts.observe.dashboards.language import Dashboard, Variable

RATE_INTERVAL = "30s"
_LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)\Z", re.DOTALL)


def put_in(text: str, chosen: Mapping[str, str]) -> str:
    """A query with the values of variables."""
    for name, value in {"__rate_interval": RATE_INTERVAL, **chosen}.items():
        text = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), text)
    assert "$" not in text, text
    return text


class Asked:
    """A Prometheus that is asked what Grafana would."""

    def __init__(self, url: str) -> None:
        self._client = httpx2.Client(base_url=url, trust_env=False, timeout=30)

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, **fields: str) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=fields).json()
        assert answer["status"] == "success", (fields, answer)
        return answer["data"]

    def values(self, variable: Variable, chosen: Mapping[str, str]) -> list[str]:
        """What a person may choose."""
        match = _LABEL_VALUES.match(variable.query)
        assert match is not None, variable.query
        series = self._get("series", **{"match[]": put_in(match[1], chosen)})
        return sorted({one[match[2]] for one in series if one.get(match[2])})

    def answers(self, expression: str, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
        """What a panel would show now."""
        found: list[dict[str, Any]] = self._get("query", query=put_in(expression, chosen))["result"]
        return found


def chosen_in(asked: Asked, dashboard: Dashboard, wanted: Mapping[str, str]) -> dict[str, str]:
    """A value for each variable: the one that is wanted, everything, or the first. AssertionError where a
    variable offers nothing.
    """
    chosen: dict[str, str] = {}
    for variable in dashboard.variables:
        offered = asked.values(variable, chosen)
        assert offered, f"{dashboard.name}: nothing to choose for {variable.name}"
        if variable.all_of_them:
            chosen[variable.name] = ".*"
            continue
        value = wanted.get(variable.name, offered[0])
        assert value in offered, f"{dashboard.name}: {variable.name} has {offered}, not {value}"
        chosen[variable.name] = value
    return chosen
