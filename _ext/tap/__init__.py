"""Tap: who watches exchanges as they pass. Matchers, events in protobuf, and the taps that join them."""
