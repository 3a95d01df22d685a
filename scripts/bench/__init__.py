"""The benchmark of training: the kernels of this project against the loop that others use.

The entry point is `python -m scripts.bench`, in the folder of the checkout.
"""
