"""Writes the runs in tests/golden/foreign/wandb with the real writer: python make_wandb.py FOLDER"""
import os
import sys

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DISABLE_GIT="true")
import numpy as np
import wandb

out = sys.argv[1]
quiet = dict(x_disable_stats=True, x_disable_meta=True, host="host")

run = wandb.init(
    project="reviews", dir=out, id="aaaa1111", name="lora r8", group="lora", job_type="train",
    tags=["nightly", "bf16"], notes="first try", settings=wandb.Settings(**quiet),
    config={"learning_rate": 1e-4, "seed": 7, "optim": {"name": "adamw", "betas": [0.9, 0.999]}, "none": None})
run.define_metric("epoch")
run.define_metric("valid/*", step_metric="epoch")
run.define_metric("acc", summary="max")
for i in range(5):
    run.log({"train_loss": 1 / (i + 1), "acc": [.1, .5, .4, .3, .2][i], "nested": {"a": i, "b": {"c": -i}}, "flag": i % 2 == 0})
    if i % 2:
        run.log({"epoch": i // 2 + 1, "valid/f1": .5 + i / 10})
run.log({"train_loss": float("nan"), "inf": float("inf"), "ninf": float("-inf")})
run.log({"img": wandb.Image(np.zeros((2, 2, 3), dtype=np.uint8)), "hist": wandb.Histogram([1, 2, 3]), "text": "word"})
run.log({"jump": 1}, step=100)
run.summary["best"] = 0.75
run.config.update({"late": "yes"})
run.alert("look", "at this")
print("a line of output")
run.finish()

# Longer than a block of the file, ends with an error, drawn as transformers draws it.
run = wandb.init(project="reviews", dir=out, id="bbbb2222", config={"learning_rate": 1e-5, "seed": 8},
                 settings=wandb.Settings(**quiet))
run.define_metric("train/global_step")
run.define_metric("*", step_metric="train/global_step", step_sync=True)
for i in range(6):
    run.log({"train/global_step": 50 * (i + 1), "eval/loss": 1 - i / 10, "remark": "x" * 5000})
run.finish(exit_code=3)
