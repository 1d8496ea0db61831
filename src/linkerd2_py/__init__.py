"""linkerd2-py: the Linkerd 2 service mesh in Python, with a Cython data plane.

The folders of this package are links to the fixed top-level folders of the repository; `base` is the one real
folder.
"""

__version__ = "0.1.0"
