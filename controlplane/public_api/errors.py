"""What may be wrong with a question."""


class InvalidQueryError(ValueError):
    """The query cannot be answered; the message says why, in one line."""
