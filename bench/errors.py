"""What may go wrong with the benchmark itself, told in one line."""


class BenchError(Exception):
    """The measurement cannot go on; the text names what is wrong."""


class Unavailable(BenchError):
    """A subject cannot be had here, or not for this; nothing is broken."""
