"""Pods as loopback addresses: no root, and a port of its proxy for every service that a program calls."""
