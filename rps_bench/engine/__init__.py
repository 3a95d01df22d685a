"""Faster training steps on CPUs: the same networks and the same mathematics, other arithmetic.

``choose.py`` is where to begin: it names the sets of kernels and lets a network train by one.
"""
