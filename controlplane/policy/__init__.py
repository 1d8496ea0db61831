"""Policies: how traffic is treated and who may call whom, as streams; what statuses say of their objects.

`inbound` answers for the ports of workloads, `outbound` for what they call.
"""
