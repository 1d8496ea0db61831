"""Why a workload gets no certificate: a closed set of reasons for metrics, and words for people."""

from enum import StrEnum


class Reason(StrEnum):
    """The label of a refusal; `service` gives each its gRPC code."""

    REQUEST = "invalid_request"
    CSR_BYTES = "unreadable_csr"
    CSR_RULE = "forbidden_csr"
    CSR_KEY = "unsupported_key"
    TOKEN = "invalid_token"  # noqa: S105  # a label
    NOT_AUTHENTICATED = "not_authenticated"
    OTHER_IDENTITY = "identity_mismatch"
    UNREVIEWED = "token_not_reviewed"
    RATE = "rate_limited"
    ISSUER = "issuer_unusable"


class RefusedError(Exception):
    """No certificate; the text names what is wrong and what would do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
