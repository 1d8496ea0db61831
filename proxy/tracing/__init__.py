"""Spans of what passes, on their way to a collector."""
