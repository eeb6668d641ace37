"""Federated rounds as a Flower app: the client and the server of experiments/federate.py."""
