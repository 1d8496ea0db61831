"""`linkerd2-py proxy-identity`: makes the key of a proxy and the request to certify it, then becomes the
proxy.

What makes keys is heavy, and a secret that passed through it would lie about in its memory. So it does
this one thing in a process that ends: exec replaces it whole. Each start makes another key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linkerd2_py._ext.core.process import forbid_dumps
from linkerd2_py.base.streams import run_program
from linkerd2_py.proxy.config.load import ConfigError, is_identity_disabled, load_key_request
from linkerd2_py.proxy.config.table import IDENTITY_DIR
from linkerd2_py.proxy.config.types import KeyRequest

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64  # EX_USAGE of sysexits.h
KEY_FILE: Final = "key.p8"
REQUEST_FILE: Final = "csr.der"
_USAGE: Final = (
    "usage: linkerd2-py proxy-identity\n\n"
    "Writes a new key (key.p8) and a request to certify it (csr.der) into"
    " LINKERD2_PROXY_IDENTITY_DIR, then becomes the "
    "proxy.\n"
)


def main(words: Sequence[str]) -> int:
    """Returns only for help or when it failed: 64 for bad input, 1 where the files cannot be written.
    Else it is the proxy, which gets `words`.
    """
    if list(words) in (["--help"], ["-h"]):
        print(_USAGE, end="")
        return 0
    status = 0 if is_identity_disabled(os.environ) else _prepare()
    if status == 0:
        # -P: the proxy imports nothing from the directory that it happens to be started in.
        os.execv(sys.executable, [sys.executable, "-P", "-m", "linkerd2_py.proxy", *words])  # noqa: S606
    return status


def _prepare() -> int:
    """Leave both files behind: 0, or one line for each problem and the exit status."""
    try:
        asked = load_key_request(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    forbid_dumps()
    try:
        _write_files(asked)
    except OSError as error:
        advice = "name a directory that this user may write to"
        reason = f"cannot write to {asked.directory}: {error.strerror}"
        print(f"{IDENTITY_DIR.variable}: {reason}; {advice}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def make_key_and_request(name: str) -> tuple[bytes, bytes]:
    """A new ECDSA P-256 key (PKCS#8) and a request for that one DNS name, both DER."""
    # Not for bad input, nor for a proxy without identity: a tenth of a second.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = (
        x509.CertificateSigningRequestBuilder(x509.Name([]))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        request.public_bytes(Encoding.DER),
    )


def _write_files(asked: KeyRequest) -> None:
    """The request last: where it is new, its key is there. OSError where the directory refuses."""
    key, request = make_key_and_request(asked.local_name)
    mask = os.umask(0o077)
    try:
        _replace(Path(asked.directory, KEY_FILE), key)
        _replace(Path(asked.directory, REQUEST_FILE), request)
    finally:
        os.umask(mask)


def _replace(path: Path, content: bytes) -> None:
    """The file holds all of it or what it held before, and is its owner's alone from its first moment."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)  # of a process that was killed
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink()
        raise


if __name__ == "__main__":
    sys.exit(run_program("linkerd2-py proxy-identity", lambda: main(sys.argv[1:])))
