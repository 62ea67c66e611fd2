"""Writes the runs in tests/golden/foreign/tensorboard with real writers: python make_tensorboard.py FOLDER"""
import json
import os
import sys

import numpy as np
from tensorboard.summary import Writer  # tensors, as TensorFlow 2 has it
from tensorboardX import SummaryWriter  # simple values, as TensorFlow 1 had it

out = sys.argv[1]


def name_file(folder, number):  # a restarted run's files lie in the order of their names
    for name in os.listdir(folder):
        if os.path.isfile(os.path.join(folder, name)) and ".host." not in name:
            os.rename(os.path.join(folder, name), os.path.join(folder, f"events.out.tfevents.{1700000000 + number}.host.{number}"))


# What transformers' Trainer writes: its arguments as a text, train/ and eval/ values; then restarted at 3.
for number, steps in enumerate([range(1, 6), range(3, 7)]):
    w = SummaryWriter(f"{out}/trainer")
    w.add_text("args", json.dumps({"learning_rate": 5e-5, "seed": 11, "optim": "adamw_torch", "max_grad_norm": float("inf")}, indent=2))
    w.add_text("model_config", json.dumps({"hidden_size": 8, "architectures": ["Bert"]}))
    for i in steps:
        w.add_scalar("train/loss", (1 + number) / i, i)
    w.add_scalar("eval_accuracy", .5 + number / 10, 5)
    w.add_scalar("odd", float("nan"), 1)
    w.close()
    name_file(f"{out}/trainer", number)

# Hyperparameters in a folder of their own below the run's (torch and tensorboardX do so), pictures and histograms.
w = SummaryWriter(f"{out}/hparams")
for i in range(3):
    w.add_scalar("loss", 2 - i, i)
w.add_histogram("weights", np.arange(10.), 0)
w.add_image("picture", np.zeros((1, 4, 4)), 0)
w.add_text("remark", "a word", 0)
w.add_hparams({"lr": .1, "name": "lora", "warm": True, "seed": 3}, {"hparam/accuracy": .75}, name="set")
w.close()
name_file(f"{out}/hparams", 0)
name_file(f"{out}/hparams/set", 0)

w = Writer(f"{out}/tensors")
for i in range(3):
    w.add_scalar("loss", 3. - i, i)
w.flush()
w.close()
name_file(f"{out}/tensors", 0)
