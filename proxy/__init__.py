"""The data plane's shell: policy in Python over the engine's mechanism.

One process beside one workload. `config/` reads the environment, `build/` makes the parts that `app.py`
starts and ends, `discovery/` asks the control plane what a target is, `dns/` resolves names outside the mesh,
`admin.py` serves metrics and readiness, `drain.py` ends it all in order. The shell installs targets and
endpoints in the engine; the engine asks about targets it does not know; no byte of traffic passes through
Python.
"""
