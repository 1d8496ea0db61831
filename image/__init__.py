"""The container images: what goes into them (`contents.toml`, `locked/`, `programs/`), and what builds them.

`./mesh image` needs no registry, daemon or root: a layer is a tree in memory, read out of Debian packages and
wheels and written as one archive whose bytes depend on nothing else.

tree       files of an image in memory, and the archive that is made of them
debian     packages of the distribution that we build on, read without being installed
wheels     packages from the index, as locked, and our own wheel
bytecode   what Python would compile at its first start
elf        which shared libraries a file asks for
contents   what `contents.toml` says
layers     contents → layers, kept by what they were made from
bill       the bill of materials (CycloneDX)
oci        layers → image, layout and archive
locking    `locked/*.txt`: versions and hashes of the wheels, for each architecture
"""
