"""Programs that are kept running: a `container` starts its `process` again whenever it ends, and a
`probe` asks how it is.

`of_pod` says what runs for a replica. `guard` is the process that ends what a supervisor left behind,
`guarding` what tells it.
"""
