"""Standing questions about the mesh: each answered once, encoded once, and fanned out to everybody who asks
it.

`topics` name what answers depend on, and find those that a change may touch; `stream` is the bounded queue of
one subscriber; `watches` keeps the answers to one kind of questions and refreshes them. What is asked, and
what is answered, belongs to who uses this.
"""
