# cython: language_level=3
"""The credentials in force: exchanged whole, asked for by every connection that begins."""


cdef class LocalIdentity:

    def __init__(self, str name not None):
        self.name = name
        self.raw_name = name.encode()

    def install(self, Credentials credentials not None):
        if credentials.name != self.name:
            raise ValueError(f"the credentials are for {credentials.name}, not for {self.name}")
        self.credentials = credentials
