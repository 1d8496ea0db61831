"""Sockets and time. The `Loop` is an epoll set below the outer event loop; it calls `Source`s with events,
`Actor`s with deferred work, and expires `Timer`s.

A `Listener` accepts, `connect` calls a server, a `Transport` owns a socket with its unread and unsent bytes,
a `Session` stands on it and understands them, a `Pump` joins two transports.
"""
