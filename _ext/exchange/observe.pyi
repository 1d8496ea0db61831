class Observer:
    """Looks on at the exchanges of plans that name it. What it sees is C-level: made by subclasses in
    Cython."""
