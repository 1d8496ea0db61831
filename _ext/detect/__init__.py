"""What a client's first bytes say: which protocol it speaks (`detect`), whom a TLS client asks for
(`client_hello`), and what another proxy writes before the bytes of a connection that it hands over
(`transport_header`). Pure functions over bytes that stay where they are.
"""
