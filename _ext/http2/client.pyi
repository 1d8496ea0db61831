from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.stream import ConnectionOwner
from linkerd2_py._ext.io.transport import Session

class Http2Client(Session):
    def __init__(self, owner: ConnectionOwner, limits: Limits) -> None: ...
