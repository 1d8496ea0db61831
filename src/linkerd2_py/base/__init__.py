"""The small floor both planes stand on: names, logs, tasks, clock.

Light on purpose: the proxy imports it, so nothing here imports yaml, grpc or typer, and nothing
knows either plane.
"""
