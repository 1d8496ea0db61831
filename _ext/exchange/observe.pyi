class Observer:
    """Looks on at the exchanges of plans that name it. What it sees is C-level: made by subclasses in
    Cython."""

class Seeker:
    """Looks for exchanges to see among all of a server's. As above: made by subclasses in Cython."""
