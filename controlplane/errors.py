"""Errors that components of the control plane share."""


class BindError(OSError):
    """An address cannot be listened on; the message names it and who wanted it."""
