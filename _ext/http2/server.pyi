from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.stream import Dispatch
from linkerd2_py._ext.io.transport import Session

class Http2Server(Session):
    def __init__(self, dispatch: Dispatch, limits: Limits, *, proven: bool = ...) -> None: ...
