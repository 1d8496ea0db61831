"""Everything `./mesh test` runs; what several test files share is in `tests.support`."""
