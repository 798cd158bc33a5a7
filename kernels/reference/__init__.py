"""Jobs of `kernels` in plain PyTorch: slow, short, and what the others are tested against."""
