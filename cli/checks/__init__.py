"""The health checks of `linkerd2-py check`, and the loop that runs them."""
