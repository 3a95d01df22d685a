"""The benchmark of training: the engine beside the loop that repositories of the field use.

The door is `python -m scripts.bench`, in the folder of the checkout.
"""
