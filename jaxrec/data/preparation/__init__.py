"""From a log of any size to a prepared folder: in bounded memory, and by more than one engine.

A row goes to the bucket of its user, and a bucket is small enough to be worked on in memory. An
engine does two things: it deals the rows out, and it calls a step for each bucket. The steps are
the same for all engines, and those of a log that is small enough to need no folder.
"""
