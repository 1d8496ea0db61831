"""The commands, joined into one typer application; nothing else happens here."""

from __future__ import annotations

import typer

from linkerd2_py.cli.commands import (
    check,
    completion,
    diagnostics,
    edges,
    get,
    identity,
    identity_ca,
    local,
    stat,
    version,
)
from linkerd2_py.cli.options import ApiAddr, Namespace, Verbose

app = typer.Typer(
    name="linkerd2-py",
    help="linkerd2-py: a service mesh. `linkerd2-py local up` starts one on this machine.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def root(namespace: Namespace = None, api_addr: ApiAddr = None, verbose: Verbose = False) -> None:
    """linkerd2-py: a service mesh. `linkerd2-py local up` starts one on this machine."""


app.command("check")(check.check)
app.command("completion")(completion.completion)
app.add_typer(diagnostics.app, name="diagnostics")
app.command("edges")(edges.edges)
app.command("get")(get.get)
app.command("identity")(identity.identity)
app.command("identity-ca")(identity_ca.identity_ca)
app.add_typer(local.app, name="local")
app.command("stat")(stat.stat)
app.command("version")(version.version)


@app.command("proxy", add_help_option=False)
def proxy() -> None:
    """Run the sidecar proxy, configured by LINKERD2_PROXY_* environment variables."""


@app.command("proxy-identity", add_help_option=False)
def proxy_identity() -> None:
    """Make a key and a request to certify it, then become the proxy."""


@app.command("proxy-init", add_help_option=False)
def proxy_init() -> None:
    """Redirect a pod's TCP traffic to its proxy, with iptables."""


@app.command("network-validator", add_help_option=False)
def network_validator() -> None:
    """Prove that a pod's outgoing connections reach its proxy."""
