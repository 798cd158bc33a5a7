"""Jobs of `kernels` as Triton kernels. Imported only for tensors on a CUDA device, and by tests."""
