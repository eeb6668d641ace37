"""Federated: many users go on teaching one model, and nobody's timeline leaves its device."""
