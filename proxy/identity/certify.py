"""One certificate: the request and the token go out over the proxy's own gRPC, credentials come back."""

from __future__ import annotations

from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from linkerd2_py._ext.tls.credentials import Credentials, CredentialsError
from linkerd2_py.base.clock import Clock
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import GrpcError
from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proxy.config.setting import Setting
from linkerd2_py.proxy.config.table import IDENTITY_DIR, IDENTITY_TOKEN_FILE
from linkerd2_py.proxy.config.types import Identity

_METHOD: Final = "/io.linkerd.proxy.identity.Identity/Certify"
_TIMEOUT_S: Final = 10.0
_FILE_BYTES: Final = 65_536


class IdentityError(Exception):
    """What the process needs to have an identity is not there; a line for each file, with the variable
    that led to it.
    """


class CertifyError(Exception):
    """No certificate this time; the text says why, in words for the log."""


class Certificate(NamedTuple):
    """Credentials, and until when (Unix seconds) the service says that they are good."""

    credentials: Credentials
    valid_until: float


class Certifier:
    """Asks for certificates of one key. IdentityError when key, request or token cannot be read."""

    def __init__(self, client: GrpcClient, *, config: Identity, clock: Clock) -> None:
        self._client = client
        self._config = config
        self._clock = clock
        # The key stays in memory: each renewal makes credentials of it anew.
        self._key, self._request, _ = _read_all(
            (IDENTITY_DIR, f"{config.directory}/key.p8"),
            (IDENTITY_DIR, f"{config.directory}/csr.der"),
            (IDENTITY_TOKEN_FILE, config.token_file),
        )

    async def certify(self) -> Certificate:
        """A fresh one, checked as a peer would check it. CertifyError for every reason why there is none."""
        try:
            # Read each time: a projected token is replaced before it ends.
            token = _read(IDENTITY_TOKEN_FILE, path=self._config.token_file)
            answer = await self._client.unary(_METHOD, self._asking(token), timeout_s=_TIMEOUT_S)
            return self._accepted(messages.CertifyResponse.FromString(answer))
        except (IdentityError, CredentialsError) as error:
            raise CertifyError(str(error)) from error
        except GrpcError as error:
            raise CertifyError(f"the identity service answered {error}") from error
        except DecodeError as error:
            raise CertifyError("the identity service's answer cannot be read") from error

    def _asking(self, token: bytes) -> bytes:
        return messages.CertifyRequest(
            identity=self._config.local_name, token=token, certificate_signing_request=self._request
        ).SerializeToString()

    def _accepted(self, answer: messages.CertifyResponse) -> Certificate:
        if not answer.HasField("valid_until"):
            raise CertifyError("the certificate comes without an end of its validity")
        valid_until = answer.valid_until.seconds + answer.valid_until.nanos / 1e9
        if valid_until <= self._clock.wall():
            raise CertifyError(
                "the certificate has ended already; does this machine's clock run ahead?"
            )
        credentials = Credentials(
            name=self._config.local_name,
            key=self._key,
            chain=[answer.leaf_certificate, *answer.intermediate_certificates],
            anchors=self._config.trust_anchors,
        )
        return Certificate(credentials, min(valid_until, credentials.not_after))


def _read_all(*files: tuple[Setting[str], str]) -> list[bytes]:
    """Every file, by the setting that led to it; IdentityError names all that cannot be used."""
    contents, problems = [], []
    for setting, path in files:
        try:
            contents.append(_read(setting, path=path))
        except IdentityError as error:
            problems.append(str(error))
    if problems:
        raise IdentityError("\n".join(problems))
    return contents


def _read(setting: Setting[str], *, path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib is 0.4 MiB
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{setting.variable}: cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise IdentityError(f"{setting.variable}: {path} is empty")
    if len(content) > _FILE_BYTES:
        raise IdentityError(f"{setting.variable}: {path} is larger than {_FILE_BYTES} bytes")
    return content
