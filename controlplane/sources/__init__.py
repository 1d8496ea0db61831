"""Where the objects of the mesh come from. Sources know nothing of each other, and nobody above knows them
but `run`, and `local` its own.
"""
