"""From this proxy to those who authorize requests to its workload, where policy names some."""

from __future__ import annotations

from functools import partial

from linkerd2_py._ext.route.checkpoint import Checkpoint
from linkerd2_py._ext.route.local_client import LocalClient
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.discovery.discovery import Discovery
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.policy.authorizers.authorizers import Authorizers
from linkerd2_py.proxy.settings import control_pool_settings, ns


def build_authorizers(parts: Parts, lookups: Lookups) -> Authorizers:
    """Called when policy names the first."""
    config = parts.config.identity
    authorizers = Authorizers(
        partial(_client_of, parts, lookups),
        make_checkpoint=partial(Checkpoint, parts.engine),
        own_name="" if config is None else config.local_name,
        registry=parts.registry,
    )
    parts.add_discovery(authorizers)
    return authorizers


def _client_of(parts: Parts, lookups: Lookups, authority: str) -> GrpcClient:
    """As the workload would find and reach it, but that no routes lead elsewhere."""
    discovery = Discovery(lookups._replace(policies=None, registry=None))
    table = TargetTable(
        parts.engine,
        parts.registry,
        direction="control",
        settings=control_pool_settings(),
        on_unknown_target=lambda target: discovery.on_unknown_target(target, table=table),
        on_idle_target=lambda target: discovery.on_idle_target(target, table=table),
        idle_ns=ns(parts.config.outbound.discovery_idle_s),
        metrics_prefix=b"control_",
        identity=parts.identity,
    )
    table.addr, table.balances_as = authority, "control_authorizer"
    parts.add_table(table)
    parts.add_discovery(discovery)
    target = table.lookup(authority.lower().encode())
    return GrpcClient(LocalClient(table), target=target, authority=authority)
