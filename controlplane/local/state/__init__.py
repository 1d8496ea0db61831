"""What a local mesh keeps on disk: its `state_dir`, in folders that are `owned` by nobody else."""
