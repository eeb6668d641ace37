"""Federated learning: clients continue to train one model, and keep their timelines."""
