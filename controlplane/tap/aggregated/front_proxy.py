"""Who may pass on requests in the name of users: the cluster's API server, by its certificate as a client.

A request without that certificate is no request, however the cluster is set up: headers say who somebody is,
and everybody can write them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.public_api.connections import BoundedProtocol
from linkerd2_py.controlplane.public_api.tls import CertificateError, TlsFiles
from linkerd2_py.controlplane.tap.refusals import NotAllowedError
from linkerd2_py.controlplane.tap.tap import User

CONFIG: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
POLL_S: Final = 30.0
_NAMES: Final = "client_names"

logger = logging.getLogger(__name__)


class ConfigurationError(Exception):
    """The cluster does not say who passes requests on; in one line."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """What a cluster says: whose certificate it is that issues the API server's (`anchors`, PEM), which names
    are meant (none: whoever has one), and which headers say who a user is.
    """

    anchors: str
    names: frozenset[str]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def read(cls, found: Json) -> Trusted:
        """From its ConfigMap. ConfigurationError where that says nothing that could be trusted."""
        data = found.get("data")
        said: Mapping[str, Any] = data if isinstance(data, dict) else {}
        anchors = said.get("requestheader-client-ca-file")
        users = _texts(said, "requestheader-username-headers")
        if not isinstance(anchors, str) or not anchors.strip() or not users:
            raise ConfigurationError(
                "this cluster has no aggregation: its API server has no --requestheader-… flags"
            )
        return cls(
            anchors,
            frozenset(_texts(said, "requestheader-allowed-names")),
            users,
            _texts(said, "requestheader-group-headers"),
            _texts(said, "requestheader-extra-headers-prefix"),
        )

    def user_of(self, headers: Headers) -> User:
        """Who asks. NotAllowedError where nobody is named."""
        name = next(filter(None, (headers.get(one, "") for one in self.user_headers)), "")
        if not name:
            raise NotAllowedError("the request says nothing of its user")
        groups = (value for one in self.group_headers for value in headers.getlist(one))
        return User(name, tuple(groups), dict(self._extra(headers)))

    def _extra(self, headers: Headers) -> Iterator[tuple[str, Sequence[str]]]:
        for prefix in self.extra_prefixes:
            for header in sorted(set(headers.keys())):
                if header.startswith(prefix.lower()):
                    yield unquote(header[len(prefix) :]), headers.getlist(header)

    def check(self, names: frozenset[str]) -> None:
        """NotAllowedError unless a certificate of these names is the API server's."""
        if self.names and not self.names & names:
            raise NotAllowedError(
                "requests are taken from the API server only: this certificate has none of its names"
            )


class _Naming(BoundedProtocol):
    """Tells applications whose certificate the client has shown."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        shown = transport.get_extra_info("peercert") or {}
        self.app_state = {**self.app_state, _NAMES: _names_of(shown)}
        super().connection_made(transport)


class FrontProxy:
    """Follows what the cluster says. `Clients` of a `WebServer`, once `load` has succeeded."""

    protocol: type[BoundedProtocol] = _Naming

    def __init__(self, api: KubernetesApi, *, tls: TlsFiles) -> None:
        self._api = api
        self._tls = tls
        self._trusted: Trusted | None = None
        self._made: tuple[object, ssl.SSLContext] | None = None
        self.problem = ""

    @property
    def trusted(self) -> Trusted:
        """What holds now."""
        if self._trusted is None:
            raise ConfigurationError("not known yet: who passes requests on")
        return self._trusted

    async def load(self) -> None:
        """Ask the cluster. ConfigurationError, ApiError."""
        trusted = Trusted.read(await self._api.get(CONFIG, {}))
        if trusted != self._trusted:
            _context(trusted, tls=self._tls)
            self._trusted = trusted

    async def follow(self, *, poll_s: float = POLL_S) -> None:
        """Again and again; what cannot be used changes nothing."""
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self.load()
            except (ApiError, ConfigurationError, CertificateError) as error:
                self.problem = f"who passes requests on cannot be read: {error}"
                logger.warning("%s", self.problem)
            else:
                self.problem = ""

    def require(self, context: ssl.SSLContext) -> None:
        """See `Clients`. Each handshake meets what holds then: anchors that have gone are not trusted."""
        _require(context, anchors=self.trusted.anchors)
        context.sni_callback = self._on_hello

    def names_of(self, state: Mapping[str, Any]) -> frozenset[str]:
        """Whose certificate a request came with, by the state of its scope."""
        names: frozenset[str] = state.get(_NAMES, frozenset())
        return names

    def _on_hello(self, shown: ssl.SSLObject | ssl.SSLSocket, _name: str, _: object) -> None:
        wanted = (self.trusted, self._tls.seen())
        if self._made is None or self._made[0] != wanted:
            try:
                self._made = (wanted, _context(self.trusted, tls=self._tls))
            except CertificateError as error:
                logger.warning("%s", error)
        if self._made is not None:
            shown.context = self._made[1]


def _context(trusted: Trusted, *, tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        _require(context, anchors=trusted.anchors)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise CertificateError(
            f"tap: {tls.certificate}, or the anchors of the cluster: {error}"
        ) from error
    return context


def _require(context: ssl.SSLContext, *, anchors: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=anchors)
    context.verify_mode = ssl.CERT_REQUIRED


def _names_of(shown: Mapping[str, Any]) -> frozenset[str]:
    """As Linkerd compares them: the CommonName, and every alternative name."""
    common = (
        value for part in shown.get("subject", ()) for kind, value in part if kind == "commonName"
    )
    return frozenset((*common, *(value for _, value in shown.get("subjectAltName", ()))))


def _texts(said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of JSON in text, as such ConfigMaps have it; none where it is anything else."""
    text = said.get(name) or "[]"
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise ConfigurationError(f"{name} is no list: {str(text)[:40]!r}") from None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ConfigurationError(f"{name} is no list: {str(text)[:40]!r}")
    return tuple(found)
