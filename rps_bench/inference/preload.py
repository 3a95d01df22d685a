"""Imports that the fork server makes once for all children, including torch's late ones."""

import gc

import torch

from rps_bench.models import build_model

with torch.device("meta"):  # building a network, even without storage, imports much of torch
    build_model("resnet20")
gc.freeze()  # garbage collection in children need not scan the imported objects
