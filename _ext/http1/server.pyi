from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.stream import Dispatch

class Http1Server:
    def __init__(self, dispatch: Dispatch, limits: Limits) -> None: ...
    @property
    def exchanges(self) -> int: ...
