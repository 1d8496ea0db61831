"""The names in certificates: of workloads, of issuers, of anchors."""

import re
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

DEFAULT_TRUST_DOMAIN: Final = "cluster.local"
LONGEST_NAME: Final = 253
# The longest CommonName that X.509 allows; names of authorities stand there.
_LONGEST_COMMON_NAME: Final = 64
_CONTROL_PLANE: Final = "linkerd-proxy-api"
"""The account of whoever answers proxies, where that is one program."""
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_RULE: Final = "lower-case letters, digits and -, at most 63"


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """What all identities of a mesh end with. ValueError for what is no DNS name."""

    name: str = DEFAULT_TRUST_DOMAIN
    control_namespace: str = CONTROL_PLANE_NAMESPACE

    def __post_init__(self) -> None:
        if not all(map(_LABEL.fullmatch, self.name.split("."))):
            raise ValueError(
                f"{self.name!r} is not a trust domain: write a DNS name, e.g. cluster.local"
            )
        if not _LABEL.fullmatch(self.control_namespace):
            raise ValueError(f"{self.control_namespace!r} is not a namespace: write {_LABEL_RULE}")
        if len(self.issuer_name) > _LONGEST_COMMON_NAME:
            longest = _LONGEST_COMMON_NAME - len(self.issuer_name) + len(self.name)
            raise ValueError(
                f"the trust domain {self.name!r} is too long: it may have {longest} characters"
            )

    @property
    def issuer_name(self) -> str:
        """What Linkerd expects the issuer's certificate to be called."""
        return f"identity.{self.control_namespace}.{self.name}"

    @property
    def anchor_name(self) -> str:
        """What a generated trust anchor is called."""
        return f"root.{self.control_namespace}.{self.name}"

    @property
    def control_plane(self) -> str:
        """The identity of a control plane that is one program."""
        return self.identity(_CONTROL_PLANE, namespace=self.control_namespace)

    def identity(self, service_account: str, *, namespace: str) -> str:
        """The identity of a ServiceAccount's workloads. ValueError if either name is no DNS label."""
        for label in (service_account, namespace):
            if not _LABEL.fullmatch(label):
                raise ValueError(f"{label!r} cannot stand in an identity: use {_LABEL_RULE}")
        identity = f"{service_account}.{namespace}{self._suffix}"
        if len(identity) > LONGEST_NAME:
            raise ValueError(f"the identity {identity!r} is longer than {LONGEST_NAME} characters")
        return identity

    def check(self, identity: str) -> None:
        """`RefusedError` unless `identity` is one of a workload of this trust domain."""
        if not identity:
            raise RefusedError(Reason.REQUEST, "the request names no identity")
        service_account, _, rest = identity.removesuffix(self._suffix).partition(".")
        is_ours = identity.endswith(self._suffix) and len(identity) <= LONGEST_NAME
        if is_ours and _LABEL.fullmatch(service_account) and _LABEL.fullmatch(rest):
            return
        # No token proves one.
        raise RefusedError(
            Reason.OTHER_IDENTITY,
            f"{identity[:LONGEST_NAME]!r} is not an identity of this mesh: it must be"
            f" <service account>.<namespace>{self._suffix}",
        )

    @property
    def _suffix(self) -> str:
        return f".serviceaccount.{self.issuer_name}"
