"""Endurance test with kills, interrupts and many writers: is anything lost, torn or repeated?

A small sweep is done once undisturbed. Then come rounds in fresh folders: the same sweep in one
process that is killed or interrupted at random times and restarted until it is done, or in several
processes at once, some of which are killed. Every round must give the records and model files of
the undisturbed sweep. The entry point is `python -m scripts.soak`, in the folder of the checkout.
"""
