"""Prove, from outside, that a running deployment loses nothing and shows nothing stale.

Speaks only HTTP to the deployment and knows nothing of how it is built. Several client processes
write, and whatever is acknowledged to one of them the others look for at once.
"""
