"""The benchmark of training: our engine against the loop that repositories of the field use.

The entry point is `python -m scripts.bench`, in the folder of the checkout.
"""
