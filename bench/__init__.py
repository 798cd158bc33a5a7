"""Benchmarks: each a module that prints one table, with peers and the physical limit in the same run."""
