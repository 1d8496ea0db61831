"""Real peers and faulty links for tests: processes, raw sockets, nginx, grpcio, a relay that hurts on
purpose.
"""
