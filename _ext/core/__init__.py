"""What every other package stands on: the C types, leased buffers and queues of them, the limits, the clock,
the closed set of faults, and the live-object counters of debug builds.
"""
