"""The engine's hot functions one by one: time and user instructions per operation.

`cases` says what is measured; `test_engine` times it (pytest bench/micro), `instructions` counts it (python
-m bench.micro.instructions).
"""
