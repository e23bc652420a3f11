"""What is measured of each library; only its worker process imports it.

`{library}_peer.py` has what the worker calls: `start`, `poisoned`, and SUBJECTS, by the name of what can be
measured functions that return a `Prepared`. Outside `konv.bench`, only Konv's own may import from Konv.
"""
