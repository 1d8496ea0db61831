"""Counters and histograms behind handles, and their text.

A handle (`HttpMetrics`, `TcpMetrics`, `Counter`, `Gauge`) is resolved once by label text from the `Registry`;
counting adds to C integers. A `Rendering` writes all series in slices, bounded in bytes and in time.
"""
