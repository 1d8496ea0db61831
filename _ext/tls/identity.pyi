from linkerd2_py._ext.tls.credentials import Credentials

class LocalIdentity:
    """Who this proxy is: a fixed name, and the credentials in force. Connections that begin after `install` use the new ones; none is dropped."""

    def __init__(self, name: str) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def credentials(self) -> Credentials | None:
        """None until the first `install`: nothing can be secured before."""
    def install(self, credentials: Credentials) -> None:
        """ValueError if they are for another name."""
