"""Measures our proxy beside its peers, and beside the limit that the kernel sets.

The nouns:

- A *subject* is what stands between client and server: our proxy, a peer (nginx, HAProxy, nghttpx, Envoy,
  Traefik), a relay that neither parses nor balances (the limit), or nothing at all ("direct").
- A *scenario* is one kind of traffic: what the load asks, what the origin answers, which subjects it
  is about.
- A *pass* is one short measurement of one subject; its outcome is a *sample*: named figures and a count of
  errors.
- A *row* is one subject's samples in one scenario; its figures are their medians.
- A *ratio* compares two rows pass by pass, so that a slow moment of the machine falls on both.

The flow: `__main__` reads the arguments, `run` opens each scenario (origin, control plane and all subjects
are started), goes through its subjects again and again (A B C, A B C, …), and collects rows. `results` holds
them, `goals` judges them, `report` shows them. The C programs that make and answer the traffic are in
`native/`.

Figures are comparable within one run only. Before and after every scenario the machine is calibrated; when it
drifted, or anything went wrong, the figures are shown but no verdict is given.
"""
