"""The way in: ports for people, and for programs that have no proxy."""
