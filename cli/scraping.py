"""Metrics of programs in pods: read straight, where their address can be reached, or through the API server
of their cluster.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from linkerd2_py.cli.cluster import Cluster

TIMEOUT_S: Final = 10.0
METRICS: Final = "/metrics"
# Those of Linkerd whose values say who somebody is, or where.
_TELLING: Final = re.compile(
    r"\b((?:authority|client_id|server_id|addr|target_(?:addr|ip|name)|dst_service|dst_namespace"
    r'|(?:parent|backend)_(?:namespace|name))=")((?:\\.|[^"\\])*)"'
)


def scrape(address: str, *, path: str = METRICS) -> str:
    """What a proxy's admin server says. CliError if it does not answer."""
    import httpx2

    try:
        with httpx2.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            response = client.get(f"http://{address}{path}")
            response.raise_for_status()
            return str(response.text)
    except httpx2.HTTPError as error:
        raise CliError(f"the proxy at {address} does not answer: {error}") from error


def scrape_through(
    cluster: Cluster,
    *,
    namespace: str,
    pod: str,
    port: int,
    path: str = METRICS,
    limit_s: float = TIMEOUT_S,
) -> str:
    """The same of a port of a pod of a cluster."""
    return cluster.run(
        _through(cluster, namespace=namespace, pod=pod, port=port, path=path, limit_s=limit_s)
    )


async def _through(
    cluster: Cluster, *, namespace: str, pod: str, port: int, path: str, limit_s: float
) -> str:
    import asyncio

    import httpx2

    from linkerd2_py.cli.forward import forwarded
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    whose = f"port {port} of {namespace}/{pod}"
    try:
        async with (
            asyncio.timeout(limit_s),
            forwarded(cluster.api, namespace=namespace, pod=pod, port=port) as way,
            httpx2.AsyncClient(trust_env=False, timeout=limit_s) as client,
        ):
            try:
                response = await client.get(f"http://{way.address}{path}")
                response.raise_for_status()
            except httpx2.HTTPError as error:
                raise CliError(f"{whose} does not answer: {way.problem or error}") from error
            return str(response.text)
    except TimeoutError as error:
        raise CliError(f"{whose} does not answer within {limit_s:g} s") from error
    except ApiError as error:
        raise CliError(f"{cluster.address} does not lead to {whose}: {error}") from error


def obfuscated(metrics: str) -> str:
    """The same numbers, with what could tell names put beyond reading; the same value is still the same."""
    return _TELLING.sub(lambda found: f'{found[1]}{_hidden(found[2])}"', metrics)


def _hidden(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
