"""Why a watch may not begin."""

from __future__ import annotations

from typing import ClassVar


class TapRefusedError(Exception):
    """The message says why and what would help, in one line; `status` is HTTP's."""

    status: ClassVar[int] = 500


class BadRequestError(TapRefusedError):
    """What was asked makes no sense."""

    status = 400


class NotAllowedError(TapRefusedError):
    """Who asks may not watch this."""

    status = 403


class NotFoundError(TapRefusedError):
    """There is no such thing, or none of its pods has a proxy that may be watched. A watch of a whole kind or
    namespace finds nothing only where there is nothing; what comes later is watched as it comes.
    """

    status = 404


class TooManyError(TapRefusedError):
    """As many watches are open as there may be."""

    status = 429


class NotReadyError(TapRefusedError):
    """It is not known yet what there is."""

    status = 503
