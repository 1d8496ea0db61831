"""Errors that components of the control plane share."""


class BindError(OSError):
    """An address cannot be listened on; the message names it and who wanted it."""


class IssuerError(Exception):
    """Anchors and issuer that cannot be used; the text names what is wrong and what to do."""
