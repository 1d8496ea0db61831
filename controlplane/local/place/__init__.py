"""Where pods live. A `Place` gives a replica room and says in a `plan` what it gets: at a `loopback`
address, or, `transparent`, in a network namespace of its own.

`env` is what the plan makes of its programs, `placement` where and as whom they run, which `launch`
brings about; `identity` is what its proxy proves with who it is.
"""
