from linkerd2_py._ext.exchange.edits import Edits

class Gate:
    """Where requests wait that somebody else has to let in."""

class Denial:
    """What is answered to a request that is not let in: `fields` are added to the response, `body` is its
    body, and `message` (escaped as gRPC has it) that of a call. `text` says why, to who may know. ValueError
    for a status that no final response has."""

    def __init__(
        self,
        status: int,
        *,
        text: str,
        fields: Edits | None = None,
        body: bytes = b"",
        message: bytes = b"",
    ) -> None: ...
