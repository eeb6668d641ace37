"""Preparation of logs of any size as folders, in bounded memory and with several engines.

A row goes to the bucket of its user, and a bucket is small enough to be processed in memory. An
engine partitions the rows into buckets and calls the steps for each bucket. The steps are the same
for all engines, and the same as for a log that is small enough to need no folder.
"""
