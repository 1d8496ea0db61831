"""Routes of a ServiceProfile from live traffic: what is asked of the pods of a resource, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.profiles.profile import Route, literal
from linkerd2_py.cli.watching import Asked, Watching


async def live_routes(source: Watching, asked: Asked, *, seconds: float, limit: int) -> list[Route]:
    """Those seen until the time is over, or there are as many as may be. CliError where nobody can watch."""
    seen: dict[tuple[str, str], None] = {}
    try:
        async with asyncio.timeout(seconds), aclosing(source.told(asked)) as events:
            async for told in events:
                if (found := _asked_for(told)) is not None:
                    seen[found] = None
                if len(seen) >= limit:
                    break
    except TimeoutError:
        pass
    return routes_of(seen)


def routes_of(seen: Iterable[tuple[str, str]]) -> list[Route]:
    """In the order of their paths, by which they are called; where a path has several methods, by both."""
    pairs = sorted(set(seen))
    paths = [path for path, _ in pairs]
    return [
        {
            "name": path if paths.count(path) == 1 else f"{method} {path}",
            "condition": {"method": method, "pathRegex": literal(path)},
        }
        for path, method in pairs
    ]


def _asked_for(told: Mapping[str, Any]) -> tuple[str, str] | None:
    """Path and method of a request that has come to one of the pods; / is nobody's route."""
    try:
        request = told.get("requestInitEvent")
        if request is None or told["proxyDirection"] != "INBOUND":
            return None
        path, method = str(request["path"]).partition("?")[0], str(request["method"])
    except (KeyError, TypeError, AttributeError) as error:
        raise CliError("an event of the traffic cannot be read") from error
    return None if path in {"", "/"} else (path, method)
