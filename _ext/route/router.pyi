def canonical(authority: bytes, default_port: int) -> bytes | None:
    """`Host[:port]` as a target key, or None when it is no host and port."""
