"""Who may watch what passes this proxy, and how what they want to see is told to the engine."""
