"""Who may call a port of a workload.

`questions` read what is asked, `servers` find the Server that a port is, `authorizations` and `routes` say
what holds there, `translator` encodes it, `topics` say what an answer depends on and which changes can touch
that; `answers` hold it between two changes.
"""
