"""What the server of the children imports once for all, and what torch imports late."""

import gc

import torch

from rps_bench.models import build_model

with torch.device("meta"):  # a network without storage needs much of torch
    build_model("resnet20")
gc.freeze()  # children need not look through all that was imported
