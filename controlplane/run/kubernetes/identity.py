"""`identity`: certificates for whoever proves by a token that they are a service account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.identity.metrics import IssuerEvent
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.validators.token_review import ReviewedTokens
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.run.components import (
    serve_identity,
    serve_proxy_api,
    what_proxies_ask,
)
from linkerd2_py.controlplane.run.kubernetes.events import IssuerEvents
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server

SCHEMES: Final = {
    "linkerd.io/tls": ("crt.pem", "key.pem"),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
"""What certificate and key are called in a Secret of Linkerd's, and in those that others make for TLS."""
_ASK_AGAIN_S: Final = 5.0


def mounted_issuer(issuer: Path, *, trust_roots: Path, scheme: str) -> IssuerFiles:
    """The files of both mounts. Kubernetes puts links to the newest of them into one place, at once."""
    certificate, key = SCHEMES[scheme]
    return IssuerFiles(trust_roots / "ca-bundle.crt", issuer / certificate, issuer / key)


@dataclass(frozen=True, slots=True)
class IdentityProcess:
    """What its flags say."""

    listen: Sequence[Listen]
    issuer: IssuerFiles
    trust_domain: TrustDomain
    validity: Validity
    kubeconfig: Path | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        identity = await self.certify(process)
        services = what_proxies_ask(identity=identity)
        await process.running.enter_async_context(serve_proxy_api(services, listen=self.listen))

    async def certify(self, process: Process) -> Identity:
        """The component alone."""
        api = await ask_api_server(process, self.kubeconfig)
        namespace = self.trust_domain.control_namespace
        events = IssuerEvents(api, namespace=namespace, clock=SystemClock())
        process.running.push_async_callback(events.told)
        tokens = ReviewedTokens(api, trust_domain=self.trust_domain)
        settings = IdentitySettings(
            issuer=self.issuer,
            tokens=tokens,
            trust_domain=self.trust_domain,
            validity=self.validity,
            on_issuer_event=events.tell,
        )
        try:
            identity = await process.running.enter_async_context(
                serve_identity(settings, metrics=process.metrics)
            )
        except IssuerError as error:
            events.tell(IssuerEvent.FAILED, str(error))
            raise
        await process.running.enter_async_context(_may_review(tokens, process))
        return identity


@asynccontextmanager
async def _may_review(tokens: ReviewedTokens, process: Process) -> AsyncIterator[None]:
    """Ready once the API server has said that it answers us; a token that it cannot review later is told to
    whoever sent it.
    """
    problems = ["the API server has not said yet whether tokens may be reviewed"]

    async def ask() -> None:
        while problems:
            found = await tokens.problem()
            problems[:] = [found] if found else []
            if found:
                await asyncio.sleep(_ASK_AGAIN_S)

    process.health.needs.append(lambda: "".join(problems))
    task = supervise(ask, name="token-reviews")
    try:
        yield
    finally:
        await cancel_all([task])
