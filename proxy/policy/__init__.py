"""Who may do what: `inbound` decides who is let in to the workload."""
