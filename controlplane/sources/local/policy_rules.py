"""The rules of `policy` of a service in a mesh.yaml: who may call it, and how often. They become a Server for
each of its ports, with what lets clients in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from linkerd2_py.controlplane.mesh.networks import Cidr, Network, is_within
from linkerd2_py.controlplane.mesh.objects import Key, MeshObject, PortSpec
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthorizationPolicy,
    ConcurrencyLimit,
    ConcurrencyOverride,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    Identities,
    MeshTLSAuthentication,
    NetworkAuthentication,
    RateOverride,
    Server,
    Target,
)
from linkerd2_py.controlplane.mesh.routes import GATEWAY, POLICY, HTTPRoute, HTTPRule
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.policy.admission.notations import cidr_of, identity_problem
from linkerd2_py.controlplane.policy.concurrency import MOST
from linkerd2_py.controlplane.sources.local import filter_rules, notations
from linkerd2_py.controlplane.sources.local.authorizer_rules import AuthorizerRules
from linkerd2_py.controlplane.sources.local.filter_rules import FilterRules
from linkerd2_py.controlplane.sources.local.match_rules import EVERYTHING, MatchRules
from linkerd2_py.controlplane.sources.local.mesh_spec import (
    ServiceSpec,
    WorkloadSpec,
    app_labels,
    port_name,
)
from linkerd2_py.controlplane.sources.local.names import NameRules, is_label
from linkerd2_py.controlplane.sources.local.token_rules import TokenRules
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_POLICY: Final = ("allow", "jwt", "audit", "authorize", "rate", "concurrency", "routes")
_ROUTE: Final = ("name", "match", "allow", "authorize", *filter_rules.OF_ARRIVALS)
_CLIENT: Final = ("who", "from", "except", "jwt")
_RATE: Final = ("total", "each", "of")
EVERYBODY: Final = "everybody"
MESHED: Final = "meshed"
NOBODY: Final = "nobody"
_WORDS: Final = (EVERYBODY, MESHED, NOBODY)
_OPAQUE: Final = "opaque"
_ANY_IDENTITY: Final = ("*",)
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 200
DEFAULT_ACCESS: Final = "all-unauthenticated"
"""Whom proxies let in when nobody says anything."""


class _Client(NamedTuple):
    """One entry of `allow`: whoever proves to be one of `who`, from one of `networks`, and shows a token;
    what is None is not asked for. `account` is the only one of `who`, where it is an account. `name` is for
    objects.
    """

    name: str
    who: Identities | None = None
    networks: tuple[Network, ...] | None = None
    account: Key | None = None
    token: JWTAuthentication | None = None


class _Allowed(NamedTuple):
    """All of `allow`."""

    everybody: bool
    clients: tuple[_Client, ...]


class PolicyRules:
    """What cannot be used is noted in the reader. Accounts are those of the `workloads`."""

    def __init__(
        self,
        reader: NodeReader,
        *,
        namespace: str,
        workloads: Mapping[str, WorkloadSpec],
        names: NameRules,
        authorizers: AuthorizerRules,
    ) -> None:
        self._reader = reader
        self._authorizers = authorizers
        self._namespace = namespace
        self._workloads = workloads
        self._accounts = sorted({one.service_account for one in workloads.values()})
        self._names = names
        self._match = MatchRules(reader)
        self._filters = FilterRules(reader)
        self._token_rules = TokenRules(reader, namespace=namespace, names=names)
        self._tokens: dict[str, JWTAuthentication] = {}
        self._asked_for: set[str] = set()
        self._guarded: dict[tuple[str, object], str] = {}

    def objects(self, service: ServiceSpec, spot: Spot) -> tuple[MeshObject, ...]:
        """All that it takes, of one service."""
        entries = self._reader.some(spot, allowed=_POLICY)
        if not entries:
            return ()
        if not self._workloads[service.workload].meshed:
            reason = f"needs a proxy, but meshed is false for workload {service.workload}"
            self._reader.refuse(spot, reason=reason)
            return ()
        self._asked_for = set()
        self._tokens = (
            self._token_rules.objects(entries["jwt"], prefix=service.name)
            if "jwt" in entries
            else {}
        )
        allowed = self._allowed(entries["allow"]) if "allow" in entries else None
        audit = self._reader.boolean(entries["audit"]) if "audit" in entries else False
        if audit and allowed and allowed.everybody:
            self._reader.refuse(entries["audit"], reason="finds nobody where allow is everybody")
        asked = self._asked(entries, name=service.name)
        if asked is not None:
            if audit:
                reason = "lets in those about whom authorize would ask nobody"
                self._reader.refuse(entries["audit"], reason=reason)
            allowed = _named_all(allowed)
        concurrency = (
            self._concurrency(entries["concurrency"]) if "concurrency" in entries else None
        )
        servers = [
            self._server(service, port, allowed=allowed, audit=bool(audit), concurrency=concurrency)
            for port in service.ports
        ]
        found: list[MeshObject] = [*servers, *self._tokens.values(), *([asked] if asked else [])]
        for port, server in zip(service.ports, servers, strict=True):
            self._guard(service, port, spot=spot)
            found += self._authorized(server.name, Target("Server", server.name), allowed, asked)
        parsed = [one for one in servers if one.proxy_protocol != _OPAQUE]
        if not parsed:
            self._refuse_requests(entries)
            return tuple(found)
        if "rate" in entries:
            found += self._rates(entries["rate"], servers=parsed)
        if "routes" in entries:
            found += self._routes(entries["routes"], service=service, servers=parsed, asked=asked)
        self._refuse_idle_tokens(entries)
        return tuple(found)

    def _refuse_idle_tokens(self, entries: dict[str, Spot]) -> None:
        """Whoever describes tokens means that somebody needs them."""
        for name in self._tokens.keys() - self._asked_for:
            spot = self._reader.peek(entries["jwt"], name) or entries["jwt"]
            self._reader.refuse(spot, reason="is asked for by no allow: write {jwt: NAME} there")

    def _refuse_requests(self, entries: dict[str, Spot]) -> None:
        for name in ("authorize", "rate", "concurrency", "routes", "jwt"):
            if name in entries:
                reason = "is of requests, and nobody looks for them in opaque bytes"
                self._reader.refuse(entries[name], reason=reason)

    def _guard(self, service: ServiceSpec, port: PortSpec, *, spot: Spot) -> None:
        """A port of a workload has one policy, whichever service leads there."""
        key = service.workload, port.target_port
        other = self._guarded.setdefault(key, service.name)
        if other != service.name:
            reason = (
                f"port {port.target_port} of workload {service.workload} has the policy of {other}"
            )
            self._reader.refuse(spot, reason=reason)

    def _server(
        self,
        service: ServiceSpec,
        port: PortSpec,
        *,
        allowed: _Allowed | None,
        audit: bool,
        concurrency: ConcurrencyLimit | None,
    ) -> Server:
        several = len(service.ports) > 1
        name = f"{service.name}-{port.port}" if several else service.name
        workload = self._workloads[service.workload]
        return Server(
            self._namespace,
            self._names.free("server", name),
            port=port_name(port.target_port),
            pods=Selector(app_labels(service.workload)),
            proxy_protocol=_OPAQUE if port.opaque else "unknown",
            access_policy=_access(workload, allowed=allowed, audit=audit),
            concurrency=None if port.opaque else concurrency,
        )

    # who

    def _allowed(self, spot: Spot) -> _Allowed | None:
        if not self._reader.is_list(spot):
            word = self._reader.one_of(spot, words=_WORDS)
            return None if word is None else _Allowed(word == EVERYBODY, _meshed(word))
        found: list[_Client] = []
        everybody = False
        for each in self._reader.items(spot) or ():
            if not self._reader.is_mapping(each) and self._reader.text(each) == EVERYBODY:
                everybody = True
            else:
                found += self._client(each, number=len(found) + 1)
        return _Allowed(everybody, tuple(dict.fromkeys(found)))

    def _client(self, spot: Spot, *, number: int) -> Iterator[_Client]:
        if self._reader.is_mapping(spot):
            yield from self._both(spot, number=number)
            return
        text = self._reader.text(spot)
        if text is None:
            return
        if text == NOBODY:
            self._reader.refuse(spot, reason="stands alone: allow: nobody")
        elif text == MESHED:
            yield from _meshed(text)
        elif (cidr := cidr_of(text)) is not None:
            yield _Client(_named(text), networks=(Network(cidr),))
        else:
            who = self._who(text, spot=spot)
            if who is not None:
                account = next(iter(who.accounts), None)
                yield _Client(_named(text), who, account=account)

    def _both(self, spot: Spot, *, number: int) -> Iterator[_Client]:
        """Who proves to be somebody, in a network, or with a token."""
        entries = self._reader.fields(spot, allowed=_CLIENT) or {}
        token = self._token(entries["jwt"]) if "jwt" in entries else None
        if "from" not in entries and ("jwt" not in entries or "except" in entries):
            missing = spot.below("from", node=spot.node)
            self._reader.refuse(missing, reason="is missing: networks; who is enough as a text")
            return
        who = self._identities(entries["who"]) if "who" in entries else None
        if "from" not in entries:
            if token is not None:
                yield _Client(f"client-{number}", who, token=token)
            return
        excluded = self._networks(entries["except"]) if "except" in entries else ()
        cidrs = self._networks(entries["from"])
        for one in excluded:
            if not any(one != cidr and is_within(one, cidr) for cidr in cidrs):
                reason = f"{one} is no part of a network that is named, or all of it"
                self._reader.refuse(entries["except"], reason=reason)
        networks = (
            Network(cidr, tuple(one for one in excluded if is_within(one, cidr))) for cidr in cidrs
        )
        if token is not None or "jwt" not in entries:
            yield _Client(f"client-{number}", who, tuple(networks), token=token)

    def _token(self, spot: Spot) -> JWTAuthentication | None:
        name = self._reader.text(spot)
        found = None if name is None else self._tokens.get(name)
        self._asked_for.update([name] if name else [])
        if name is not None and found is None:
            known = ", ".join(self._tokens) or "none: they stand in jwt beside allow"
            self._reader.refuse(
                spot, reason=f"no tokens are called {name[:80]!r}; there are: {known}"
            )
        return found

    def _networks(self, spot: Spot) -> tuple[Cidr, ...]:
        listed = self._reader.items(spot) if self._reader.is_list(spot) else [spot]
        found = [notations.network(self._reader, each) for each in listed or ()]
        return tuple(one for one in found if one is not None)

    def _identities(self, spot: Spot) -> Identities:
        names: tuple[str, ...] = ()
        accounts: tuple[Key, ...] = ()
        listed = self._reader.items(spot) if self._reader.is_list(spot) else [spot]
        for each in listed or ():
            text = self._reader.text(each)
            found = None if text is None else self._who(text, spot=each)
            if found is not None:
                names, accounts = (*names, *found.names), (*accounts, *found.accounts)
        return Identities(names, accounts)

    def _who(self, text: str, *, spot: Spot) -> Identities | None:
        """An account, one of another namespace, a whole name as certificates have it, or the end of one."""
        if text == MESHED:
            return Identities(_ANY_IDENTITY)
        account, dot, namespace = text.partition(".")
        if not dot:
            if text in self._accounts:
                return Identities(accounts=(Key(self._namespace, text),))
            known = ", ".join((*self._accounts, EVERYBODY, MESHED))
            reason = f"nobody here is called {text[:80]!r}; there are: {known}; and networks"
            self._reader.refuse(spot, reason=reason)
            return None
        if is_label(account) and is_label(namespace):
            return Identities(accounts=(Key(namespace, account),))
        if problem := identity_problem(text):
            self._reader.refuse(spot, reason=problem[:200])
            return None
        return Identities((text,))

    def _authorized(
        self,
        prefix: str,
        target: Target,
        allowed: _Allowed | None,
        asked: ExternalAuthorization | None = None,
    ) -> Iterator[MeshObject]:
        """An AuthorizationPolicy for each entry, with what it requires."""
        for client in allowed.clients if allowed else ():
            name = self._names.free("authorization", f"{prefix}-{client.name}")
            required: list[Authentication] = []
            if client.account is not None:
                required.append(Authentication("ServiceAccount", *client.account))
            elif client.who is not None:
                yield MeshTLSAuthentication(self._namespace, name, client.who)
                required.append(Authentication("MeshTLSAuthentication", self._namespace, name))
            if client.networks is not None:
                yield NetworkAuthentication(self._namespace, name, client.networks)
                required.append(Authentication("NetworkAuthentication", self._namespace, name))
            if client.token is not None:
                required.append(Authentication("JWTAuthentication", *client.token.key))
            if asked is not None:
                required.append(Authentication("ExternalAuthorization", *asked.key))
            yield AuthorizationPolicy(self._namespace, name, target, tuple(required))

    def _asked(self, entries: dict[str, Spot], *, name: str) -> ExternalAuthorization | None:
        """Who else has to agree."""
        if "authorize" not in entries:
            return None
        free = self._names.free("external authorization", name)
        return self._authorizers.authorization(entries["authorize"], name=free)

    # how often

    def _rates(self, spot: Spot, *, servers: list[Server]) -> Iterator[MeshObject]:
        """A limit for each port: they are counted apart."""
        total: int | None = None
        each: int | None = None
        overrides: tuple[RateOverride, ...] = ()
        if self._reader.is_mapping(spot):
            entries = self._reader.some(spot, allowed=_RATE)
            total, each = (
                notations.rate(self._reader, entries[name]) if name in entries else None
                for name in ("total", "each")
            )
            if total is not None and each is not None and each > total:
                reason = f"must not be more than the total, {total}/s"
                self._reader.refuse(entries["each"], reason=reason)
            if "of" in entries:
                overrides = tuple(self._overrides(entries["of"], total=total))
        else:
            total = notations.rate(self._reader, spot)
        for server in servers:
            yield HTTPLocalRateLimitPolicy(
                self._namespace, server.name, server.name, total, each, overrides
            )

    def _overrides(self, spot: Spot, *, total: int | None) -> Iterator[RateOverride]:
        for name, each in (self._reader.mapping(spot) or {}).items():
            rate = notations.rate(self._reader, each)
            accounts = self._accounts_of(name, spot=each, what="rate")
            if not accounts or rate is None:
                continue
            if total is not None and rate > total:
                self._reader.refuse(each, reason=f"must not be more than the total, {total}/s")
            else:
                yield RateOverride(rate, accounts)

    def _accounts_of(self, name: str, *, spot: Spot, what: str) -> tuple[Key, ...]:
        """Whose it is: nobody else has a limit of his own."""
        who = self._who(name, spot=spot)
        if who is not None and not who.accounts:
            where = "such as web, or of one of another namespace, web.shop"
            self._reader.refuse(spot, reason=f"a {what} is of an account {where}")
        return () if who is None else who.accounts

    # how many at once

    def _concurrency(self, spot: Spot) -> ConcurrencyLimit:
        if not self._reader.is_mapping(spot):
            return ConcurrencyLimit(self._at_once(spot))
        entries = self._reader.some(spot, allowed=_RATE)
        total, each = (
            self._at_once(entries[name]) if name in entries else None for name in ("total", "each")
        )
        if total is not None and each is not None and each > total:
            self._reader.refuse(entries["each"], reason=f"must not be more than the total, {total}")
        overrides: list[ConcurrencyOverride] = []
        for name, one in (
            self._reader.mapping(entries["of"]) or {} if "of" in entries else {}
        ).items():
            most = self._at_once(one)
            accounts = self._accounts_of(name, spot=one, what="number of requests")
            if most is None or not accounts:
                continue
            if total is not None and most > total:
                self._reader.refuse(one, reason=f"must not be more than the total, {total}")
            overrides.append(ConcurrencyOverride(most, accounts))
        return ConcurrencyLimit(total, each, tuple(overrides))

    def _at_once(self, spot: Spot) -> int | None:
        return self._reader.whole(spot, least=1, most=MOST)

    # routes, each with clients of its own

    def _routes(
        self,
        spot: Spot,
        *,
        service: ServiceSpec,
        servers: list[Server],
        asked: ExternalAuthorization | None,
    ) -> Iterator[MeshObject]:
        """Where a route names nobody to be asked, whoever is of all of the service is."""
        parents = tuple(Parent(POLICY, "Server", self._namespace, one.name) for one in servers)
        for number, each in enumerate(self._reader.items(spot) or (), start=1):
            entries = self._reader.fields(each, allowed=_ROUTE)
            if entries is None:
                continue
            default = f"{service.name}-in-{number}"
            name = self._names.given_route(entries, default=default, spot=each)
            matches = self._match.http(entries["match"]) if "match" in entries else EVERYTHING
            self._filters.check_beginnings(entries, matches or EVERYTHING)
            filters = self._filters.filters(entries, grpc=False)
            yield HTTPRoute(
                namespace=self._namespace,
                name=name,
                parents=parents,
                created=float(number),
                rules=(HTTPRule(matches=matches or EVERYTHING, filters=filters),),
            )
            allowed = self._allowed(entries["allow"]) if "allow" in entries else None
            own = self._asked(entries, name=name)
            if own is not None:
                yield own
            if own is not None or (allowed and allowed.everybody):
                allowed = _named_all(allowed)
            target = Target("HTTPRoute", name, GATEWAY)
            yield from self._authorized(name, target, allowed, own or asked)


def _access(workload: WorkloadSpec, *, allowed: _Allowed | None, audit: bool) -> str:
    """Whom a Server lets in beside those whom objects name."""
    if allowed is not None and allowed.everybody:
        return DEFAULT_ACCESS
    if audit:
        return "audit"
    if allowed is not None:
        return "deny"
    return workload.default_inbound_policy or DEFAULT_ACCESS


def _named_all(allowed: _Allowed | None) -> _Allowed:
    """Everybody as one of the clients, where everybody is meant or nobody said who."""
    if allowed is None:
        return _Allowed(everybody=False, clients=(_Client(EVERYBODY),))
    more = (_Client(EVERYBODY),) if allowed.everybody else ()
    return _Allowed(everybody=False, clients=(*allowed.clients, *more))


def _meshed(word: str) -> tuple[_Client, ...]:
    """Whoever proves to be anybody."""
    return (_Client(MESHED, Identities(_ANY_IDENTITY)),) if word == MESHED else ()


def _named(text: str) -> str:
    """As objects of a cluster are called."""
    return _NO_NAME.sub("-", text.lower()).strip("-")[:_LONGEST_NAME] or "any"
