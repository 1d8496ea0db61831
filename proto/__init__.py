"""The messages between proxies and control plane, field for field those of Linkerd's proxy API; `gen` is made
from them.
"""
