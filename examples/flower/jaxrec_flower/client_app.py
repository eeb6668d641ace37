"""The Flower client: it answers a round with a clipped update and counts, and nothing else."""

from pathlib import Path

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec_flower.device import Device, device_update, open_device
from jaxrec_flower.wire import COUNTS, KEYS, PARAMETERS, UPDATE, settings_of

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train on one device in a round."""
    # Each message may be handled by a new process.
    enable_compilation_cache()
    settings = settings_of(context.run_config)
    asked = message.content.array_records
    update, counts = device_update(
        find_device(context),
        {name: array.numpy() for name, array in asked[PARAMETERS].items()},
        {name: array.numpy() for name, array in asked[KEYS].items()},
        settings,
    )
    arrays = ArrayRecord({name: Array(array) for name, array in update.items()})
    content = RecordDict({UPDATE: arrays, COUNTS: MetricRecord(dict(counts))})
    return Message(content, reply_to=message)


def find_device(context: Context) -> Device:
    """Open the device of a node; its own configuration takes precedence over that of the run."""
    node, run = context.node_config, context.run_config
    number = int(node["partition-id"])
    log = node.get("log") or Path(str(run["logs"])) / f"{number}.csv"
    run_dir = node.get("run-dir") or run["run-dir"]
    return open_device(Path(str(run_dir)), Path(str(log)), number, settings_of(run))
