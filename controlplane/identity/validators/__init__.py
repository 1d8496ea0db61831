"""Who says what a workload's token proves, where that is not the control plane itself."""
