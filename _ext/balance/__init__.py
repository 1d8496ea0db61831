"""Which endpoint serves next: power of two choices (`p2c`) over peak-EWMA loads (`ewma`)."""
