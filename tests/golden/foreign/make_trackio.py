"""Two runs of Trackio's own writer: make_trackio.py FOLDER"""
import math, os, sys
os.environ["TRACKIO_DIR"] = sys.argv[1]
import trackio
for name, lr, seed in ("first", 0.1, 3), ("second", 0.01, 4):
    trackio.init(project="desk", name=name, config={"lr": lr, "seed": seed, "optim": {"name": "adamw"}, "note": "ü"}, embed=False)
    for i in range(4):
        trackio.log({"train/loss": lr / (i + 1), "eval_accuracy": 0.5 + i / 10, "bad": math.nan if i == 2 else math.inf, "inner": {"a": i}, "text": "x"}, step=i * 10)
    trackio.alert(title="slow", text="gpu idle", level=trackio.AlertLevel.WARN)
    trackio.finish()
