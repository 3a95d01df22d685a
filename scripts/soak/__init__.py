"""Kills, interrupts and many writers, for a while: is anything lost, torn or done twice?

A small sweep is done once undisturbed. Then rounds in fresh folders: the same sweep with one
process that is killed or interrupted at random instants and started again until it is done, and
with several processes at once, some of them killed. Every round must give the records and model
files of the undisturbed sweep. The door is `python -m scripts.soak`, in the folder of the checkout.
"""
