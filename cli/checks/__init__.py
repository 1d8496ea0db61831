"""The health checks of `linkerd2-py check`: `mesh` holds them as values, `run` asks them in order."""
