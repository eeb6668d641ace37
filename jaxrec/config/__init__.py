"""Settings: what every configuration has in common, and that of a whole run.

What one reader alone reads stands beside it: an encoder's settings in `models/encoders/`, those of
a log in `data/sources/`.
"""
