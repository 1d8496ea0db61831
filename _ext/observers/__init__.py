"""Who looks on at all exchanges of a proxy beside its taps: the access log, and several at once."""
