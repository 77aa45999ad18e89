"""Processes of our own: started, fed and ended.

`child` runs one to its end, `background` lets one go on, and `tagged` finds those that an earlier
start has left.
"""
