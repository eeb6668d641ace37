"""Training: the loss, the step, and the loop around it."""
