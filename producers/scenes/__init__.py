"""Synthetic scenes with exact ground truth: how things look (`shapes`, `person`, `car`, `backdrop`), what happens
(`scripts`), and how a frame and its masks come of it (`render`)."""
