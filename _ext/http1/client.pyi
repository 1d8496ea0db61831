from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.stream import ConnectionOwner

class Http1Client:
    def __init__(self, owner: ConnectionOwner, limits: Limits) -> None: ...
