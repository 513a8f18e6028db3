"""Prints the scalars of TensorBoard event files, read by the tensorboard package, as JSON lines.

Usage: python read_tensorboard.py FOLDER_OR_FILE    (needs tensorboard)
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
for tag in events.Tags()["scalars"]:
    for event in events.Scalars(tag):
        print(json.dumps({"tag": tag, "step": event.step, "value": event.value}))
