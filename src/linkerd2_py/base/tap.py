"""Tap: what proxies and those who ask them must spell alike. Names are Linkerd's wherever Linkerd has one."""

from __future__ import annotations

from typing import Final

OBSERVE: Final = "/io.linkerd.proxy.tap.Tap/Observe"

MAX_RPS_FIELD: Final = "l5d-tap-max-rps"
"""Ours: in the metadata of a call of Observe, how many requests a second it wants to be told of, at most."""

SERVICE_ACCOUNT: Final = "linkerd-tap"
"""Of the control plane's `tap`, in its namespace: proxies let nobody else tap them."""

TAP_PORT: Final = 4190

DISABLED_ANNOTATION: Final = "viz.linkerd.io/disable-tap"
"""Of pods and namespaces: `true` leaves proxies that nobody can tap."""
