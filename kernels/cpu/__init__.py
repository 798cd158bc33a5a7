"""Jobs of `kernels` on a CPU where NumPy alone is slow: compiled by numba at first use, kept on disk after that."""
