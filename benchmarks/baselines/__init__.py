"""What the benchmarks compare with: how the same work is usually done, and the least it can cost."""
