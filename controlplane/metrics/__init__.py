"""What proxies measured: asked for through the protocols of `store`, kept by one of the folders here.

`embedded` keeps the last minutes in memory and needs nothing installed.
"""
