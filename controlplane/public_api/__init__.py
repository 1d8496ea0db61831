"""The JSON API for people's tools, and the embedded metrics store that answers it."""
