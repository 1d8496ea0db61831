"""What `install`, `upgrade`, `prune` and `uninstall` share: certificates, flags that are values, what a
cluster has stored of them, and how objects are written."""
