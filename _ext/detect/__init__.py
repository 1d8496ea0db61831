"""Which protocol a client speaks, from its first bytes."""
