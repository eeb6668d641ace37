"""Training: the loss, the training step, and the training loop."""
