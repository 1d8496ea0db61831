"""What a client's first bytes say: which protocol it speaks (`detect`), whom a TLS client asks for (`client_hello`). Pure functions over bytes that
stay where they are.
"""
