"""All authorizers of this proxy, and how they are reached: as the workload would reach them, by discovery and
with who we are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.checkpoint import Checkpoint
from linkerd2_py._ext.route.client import Client
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.tasks import cancel_all
from linkerd2_py.proxy.policy.authorizers.authorizer import Authorizer, Counters
from linkerd2_py.proxy.policy.external import External
from linkerd2_py.proxy.policy.server import Labels

_RESULTS: Final = ("allow", "deny", "fail_closed", "fail_open", "gone")
_HELP: Final = "Requests that an external authorizer was asked about, by what became of them."


class Authorizers:
    """`client_of` makes a client of an authority, once for each."""

    def __init__(
        self,
        client_of: Callable[[str], GrpcClient],
        *,
        make_checkpoint: Callable[..., Checkpoint],
        own_name: str,
        registry: Registry,
    ) -> None:
        self._client_of = client_of
        self._make_checkpoint = make_checkpoint
        self._own_name = own_name
        self._registry = registry
        self._clients: dict[str, GrpcClient] = {}
        self._authorizers: dict[External, Authorizer] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def gate(
        self, said: External, client: Client, *, labels: Labels, allowed: Labels
    ) -> Checkpoint:
        """Where requests of this client wait; `labels` are of those requests, `allowed` of those that are let
        in.
        """
        counter = self._registry.counter
        counters = Counters(
            counter("inbound_http_authz_allow_total", ALLOW_HELP, (*labels, *allowed)),
            counter("inbound_http_authz_deny_total", DENY_HELP, (*labels, *allowed)),
            {
                result: counter(
                    "inbound_http_external_authz_total",
                    _HELP,
                    (*labels, *said.labels, ("result", result)),
                )
                for result in _RESULTS
            },
        )
        ask = partial(self._of(said).ask, principal=client.identity, counters=counters)
        return self._make_checkpoint(on_request=ask)

    def _of(self, said: External) -> Authorizer:
        found = self._authorizers.get(said)
        if found is None:
            client = self._clients.get(said.authority)
            if client is None:
                client = self._clients[said.authority] = self._client_of(said.authority)
            found = self._authorizers[said] = Authorizer(
                said, client=client, own_name=self._own_name, checks=self._checks
            )
        return found

    def close(self) -> None:
        """Ask nobody any more; who waits is not let in. Idempotent."""
        for task in list(self._checks):
            task.cancel()

    async def settled(self) -> None:
        """After `close`: until no call of ours is left in the engine."""
        await cancel_all(self._checks)


ALLOW_HELP: Final = "Requests that inbound policy let in."
DENY_HELP: Final = "Requests that inbound policy refused."
