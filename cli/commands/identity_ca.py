"""`identity-ca`: a trust anchor and an issuer for development, in files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import CliError, bad_usage

FILE_NAMES: Final = ("ca.crt", "ca.key", "issuer.crt", "issuer.key")
_SHORTEST_S: Final = 60.0
# A century: what needs more does not expire, and X.509 ends with the year 9999.
_LONGEST_S: Final = 100 * 365 * 86_400.0


def identity_ca(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Directory to write to; made if missing.")
    ],
    trust_domain: Annotated[
        str, typer.Option("--trust-domain", metavar="NAME", help="What all identities end with.")
    ] = "cluster.local",
    anchor_lifetime: Annotated[
        str,
        typer.Option("--anchor-lifetime", metavar="DURATION", help="How long the anchor is valid."),
    ] = "87600h",
    issuer_lifetime: Annotated[
        str,
        typer.Option("--issuer-lifetime", metavar="DURATION", help="How long the issuer is valid."),
    ] = "8760h",
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite: what trusts the old anchor rejects the new one."),
    ] = False,
) -> None:
    """Make a trust anchor and an issuer below it: ca.crt, ca.key, issuer.crt, issuer.key."""
    anchor_s = _lifetime(anchor_lifetime, flag="--anchor-lifetime")
    issuer_s = _lifetime(issuer_lifetime, flag="--issuer-lifetime")
    if issuer_s > anchor_s:
        raise bad_usage("--issuer-lifetime is longer than --anchor-lifetime: an issuer ends first")
    made = _made(
        trust_domain, anchor=timedelta(seconds=anchor_s), issuer=timedelta(seconds=issuer_s)
    )
    _write_all(made, directory=out, force=force)
    output.write("\n".join(f"√ {out / name}" for name in FILE_NAMES))
    output.note(f"Keep {out / 'ca.key'} away from the mesh: it is needed to make issuers only.")


def _lifetime(text: str, *, flag: str) -> float:
    seconds = parse_duration(text, flag=flag)
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise bad_usage(f"{flag}: {text} is not between 1m and 876000h (100 years)")
    return seconds


def _made(trust_domain: str, *, anchor: timedelta, issuer: timedelta) -> Mapping[str, bytes]:
    from linkerd2_py.base.clock import SystemClock
    from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below
    from linkerd2_py.controlplane.identity.names import TrustDomain

    try:
        domain = TrustDomain(trust_domain)
    except ValueError as error:
        raise bad_usage(f"--trust-domain: {error}") from error
    now = SystemClock().wall()
    root = make_anchor(domain, now=now, lifetime=anchor)
    below = make_issuer_below(root, domain, now=now, lifetime=issuer)
    pems = (root.certificate_pem, root.key_pem, below.certificate_pem, below.key_pem)
    return dict(zip(FILE_NAMES, pems, strict=True))


def _write_all(files: Mapping[str, bytes], *, directory: Path, force: bool) -> None:
    """All or, where something is in the way, none; nothing that exists is touched without `force`."""
    staged = {directory / name: directory / f".{name}.{os.getpid()}" for name in files}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check_room(list(staged), force=force)
        for (target, temporary), content in zip(staged.items(), files.values(), strict=True):
            _write(temporary, content=content, mode=0o600 if target.suffix == ".key" else 0o644)
        for target, temporary in staged.items():
            temporary.replace(target)
    except OSError as error:
        what = error.filename or directory
        raise CliError(f"{what}: cannot be written: {error.strerror}") from error
    finally:
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink()


def _check_room(targets: Sequence[Path], *, force: bool) -> None:
    directory = targets[0].parent
    present = [target for target in targets if os.path.lexists(target)]
    if present and not force:
        names = ", ".join(target.name for target in present)
        raise CliError(f"{directory}: has {names} already: choose another directory, or --force")
    # Found out before anything is replaced: half a set of new files would be worth nothing.
    for target in present:
        if target.is_dir():
            raise CliError(f"{target}: cannot be overwritten: it is a directory")


def _write(path: Path, *, content: bytes, mode: int) -> None:
    # Never readable by others, not even for a moment, whatever the umask says.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
