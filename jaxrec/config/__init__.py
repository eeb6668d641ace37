"""Settings: the common base of all configurations, and the configuration of a whole run.

Settings of a single component are defined beside it: an encoder's in `models/encoders/`, those of
a log in `data/sources/`.
"""
