"""The Identity service."""

import logging
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.calls import Methods, ProxyCall, RefusedCallError
from linkerd2_py.controlplane.identity.certifier import Certified, Validity, certify
from linkerd2_py.controlplane.identity.csr import check_csr
from linkerd2_py.controlplane.identity.limits import CertifyLimiter
from linkerd2_py.controlplane.identity.metrics import FAILED, ISSUED, IdentityMetrics
from linkerd2_py.controlplane.identity.names import LONGEST_NAME, TrustDomain
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from linkerd2_py.controlplane.identity.reload import CurrentIssuer
from linkerd2_py.controlplane.identity.tokens import TokenValidator
from linkerd2_py.proto.gen import identity_pb2 as messages

SERVICE: Final = "io.linkerd.proxy.identity.Identity"
METHOD: Final = "Certify"
# Linkerd's: what cannot be read is an invalid argument, what may not be a failed precondition, and a key of
# another kind a failure.
CODES: Final = MappingProxyType(
    {
        Reason.REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
        Reason.CSR_BYTES: grpc.StatusCode.INVALID_ARGUMENT,
        Reason.CSR_RULE: grpc.StatusCode.FAILED_PRECONDITION,
        Reason.CSR_KEY: grpc.StatusCode.INTERNAL,
        Reason.TOKEN: grpc.StatusCode.INVALID_ARGUMENT,
        Reason.NOT_AUTHENTICATED: grpc.StatusCode.FAILED_PRECONDITION,
        Reason.OTHER_IDENTITY: grpc.StatusCode.FAILED_PRECONDITION,
        Reason.UNREVIEWED: grpc.StatusCode.UNAVAILABLE,
        Reason.RATE: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Reason.ISSUER: grpc.StatusCode.UNAVAILABLE,
    }
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certification:
    """Everything that decides about a certificate."""

    current: CurrentIssuer
    tokens: TokenValidator
    trust_domain: TrustDomain
    validity: Validity
    limiter: CertifyLimiter
    clock: Clock

    async def decide(self, asked: messages.CertifyRequest) -> Certified:
        """The certificate, or `RefusedError`.

        Who asks is settled before the key is looked at: only a workload of the mesh can make us parse a
        request.
        """
        identity = asked.identity
        self.trust_domain.check(identity)
        await self.tokens.check(asked.token, identity=identity)
        self.limiter.take(identity)
        key = check_csr(asked.certificate_signing_request, identity=identity)
        return certify(
            key,
            identity=identity,
            issuer=self.current.issuer,
            now=self.clock.wall(),
            validity=self.validity,
        )


class IdentityService:
    """`Certify`: one request, one certificate, or a code and a reason in words, which is logged as well."""

    def __init__(self, certification: Certification, *, metrics: IdentityMetrics) -> None:
        self._certification = certification
        self._metrics = metrics

    def methods(self) -> Methods:
        """By their names."""
        return {METHOD: self.certify}

    async def certify(self, request: bytes, call: ProxyCall) -> bytes:
        """Answer one `CertifyRequest`."""
        identity = ""
        try:
            asked = _decoded(request)
            identity = asked.identity
            certified = await self._certification.decide(asked)
        except RefusedError as refusal:
            code, result, words = CODES[refusal.reason], str(refusal.reason), str(refusal)
            logger.warning(
                "%s: no certificate for %r: %s", call.peer, identity[:LONGEST_NAME], words
            )
        except Exception:
            logger.exception("%s: a certificate for %r failed", call.peer, identity[:LONGEST_NAME])
            code, result = grpc.StatusCode.INTERNAL, FAILED
            words = "the identity service failed: see its log"
        else:
            return self._answer(certified, identity=identity)
        self._count(code, result=result)
        raise RefusedCallError(code, words)

    def _answer(self, certified: Certified, *, identity: str) -> bytes:
        self._count(grpc.StatusCode.OK, result=ISSUED)
        ends = certified.valid_until
        logger.info(
            "certified %s until %s, serial %x",
            identity,
            f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            certified.serial,
        )
        answer = messages.CertifyResponse(
            leaf_certificate=certified.leaf, intermediate_certificates=certified.intermediates
        )
        answer.valid_until.FromDatetime(ends)
        return answer.SerializeToString()

    def _count(self, code: grpc.StatusCode, *, result: str) -> None:
        self._metrics.count_call(SERVICE, method=METHOD, code=_go_name(code), result=result)


def _decoded(request: bytes) -> messages.CertifyRequest:
    try:
        return messages.CertifyRequest.FromString(request)
    except DecodeError as error:
        raise RefusedError(Reason.REQUEST, "the request is not a CertifyRequest") from error


def _go_name(code: grpc.StatusCode) -> str:
    """As dashboards of Linkerd know it: `OK`, `FailedPrecondition`."""
    if code is grpc.StatusCode.OK:
        return "OK"
    return "".join(word.capitalize() for word in code.name.split("_"))
