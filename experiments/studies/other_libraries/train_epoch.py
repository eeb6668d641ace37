# pyright: reportMissingImports=false
"""Train a model of another library, and print the targets and the seconds of its second epoch.

    others/bin/python train_epoch.py recbole-gru4rec log.csv 10

Arguments: `recbole-gru4rec`, `recbole-sasrec` or `rectools-sasrec`; a CSV file of `user`, `item`
and `timestamp`; the history length. Runs where RecBole and RecTools are installed, without jaxrec.
Every model has item embeddings of width 64, and cross-entropy over all items.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDTH, UNITS, HEADS, BLOCKS, DROPOUT = 64, 128, 2, 2, 0.2
EPOCHS = 2


def recbole(model: str, log: Path, history_length: int) -> tuple[int, float]:
    """Train RecBole's GRU4Rec, one layer of 128 units, or its SASRec."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "log"
        data.mkdir()
        header, *rows = log.read_text().splitlines()
        assert header == "user,item,timestamp", header
        typed = "user_id:token,item_id:token,timestamp:float"
        text = "\n".join([typed, *rows]).replace(",", "\t")
        (data / "log.inter").write_text(text)
        settings = {
            "data_path": folder,
            "checkpoint_dir": folder,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "MAX_ITEM_LIST_LENGTH": history_length,
            "embedding_size": WIDTH,
            "hidden_size": UNITS if model == "GRU4Rec" else WIDTH,
            "num_layers": 1,
            "n_layers": BLOCKS,
            "n_heads": HEADS,
            "inner_size": 4 * WIDTH,
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "train_batch_size": 2048,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
            "show_progress": False,
            "use_gpu": False,
        }
        config = Config(model=model, dataset="log", config_dict=settings)
        init_seed(0, True)
        train, _, _ = data_preparation(config, create_dataset(config))
        trainer = get_trainer(config["MODEL_TYPE"], model)(
            config, get_model(model)(config, train.dataset)
        )
        seconds = []
        for epoch in range(EPOCHS):
            started = time.perf_counter()
            trainer._train_epoch(train, epoch)
            seconds.append(time.perf_counter() - started)
        return len(train.dataset), seconds[-1]


def rectools(log: Path, history_length: int) -> tuple[int, float]:
    """Train RecTools' SASRec; each user's last `history_length` targets are trained on."""
    import pandas as pd
    import pytorch_lightning as lightning
    import torch
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    seconds = []

    class Clock(lightning.Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self, *_: object) -> None:
            seconds.append(time.perf_counter() - self.started)

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_checkpointing=False,
            logger=False,
            callbacks=[Clock()],
        )

    torch.manual_seed(0)
    table = pd.read_csv(log).rename(columns={"user": "user_id", "item": "item_id"})
    # The last two of each user are for validation and test.
    table = table[table.groupby("user_id").cumcount(ascending=False) > 1]
    table = table.assign(weight=1.0, datetime=pd.to_datetime(table.pop("timestamp"), unit="s"))
    model = SASRecModel(
        session_max_len=history_length,
        n_blocks=BLOCKS,
        n_heads=HEADS,
        n_factors=WIDTH,
        dropout_rate=DROPOUT,
        loss="softmax",
        get_trainer_func=trainer,
    )
    model.fit(Dataset.construct(table))
    lengths = table.groupby("user_id").size().to_numpy()
    return int(np.minimum(lengths - 1, history_length).sum()), seconds[-1]


if __name__ == "__main__":
    name, log, history_length = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if name == "rectools-sasrec":
        targets, seconds = rectools(log, history_length)
    else:
        model = {"recbole-gru4rec": "GRU4Rec", "recbole-sasrec": "SASRec"}[name]
        targets, seconds = recbole(model, log, history_length)
    print(json.dumps({"targets": targets, "seconds": seconds}))
