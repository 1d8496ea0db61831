"""Stand-ins for modules that others import and this process does not use: they would be half of what a pod
pays for its proxy, and a third of the time to start.

Each has what is named while modules are imported; whoever asks for more gets the real module after all. So
nothing is missing, it only comes late. `ssl` is the exception: there is no Python TLS here, and whoever
wants it is told.
"""

from __future__ import annotations

from linkerd2_py.proxy.stand_ins.asyncio_parts import stand_in_for_asyncio
from linkerd2_py.proxy.stand_ins.hints import stand_in_for_typing
from linkerd2_py.proxy.stand_ins.messages import stand_in_for_protobuf
from linkerd2_py.proxy.stand_ins.standard import stand_in_for_standard_library


def stand_in() -> None:
    """Let the imports that follow find the stand-ins, where the real modules are not loaded already."""
    stand_in_for_typing()
    stand_in_for_standard_library()
    stand_in_for_asyncio()
    stand_in_for_protobuf()
