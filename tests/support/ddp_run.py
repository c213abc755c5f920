"""One training on some processes, for test_ddp.py: python ddp_run.py DEVICES STRATEGY OUT."""

import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from which_lightning import pl

from difflr import ParametersSplitsModule, make_plan

GLOBAL_BATCH = 16


class Net(ParametersSplitsModule):
    """Three splits, unfrozen one after the other; remembers its weights after every epoch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.milestones = make_plan("gradual", 3, epochs=3, lr=0.1)
        self.weights = []

    def model_splits(self):
        return [self.a, self.b, self.c]

    def make_optimizer(self, param_groups):
        return torch.optim.SGD(param_groups, lr=0.1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self.c(torch.relu(self.b(torch.relu(self.a(x))))), y)

    def train_dataloader(self):
        torch.manual_seed(1)
        x = torch.randn(64, 8)
        data, n = TensorDataset(x, (x.sum(1) > 0).long()), self.trainer.world_size
        sampler = DistributedSampler(data, n, self.global_rank, shuffle=False)
        return DataLoader(data, GLOBAL_BATCH // n, sampler=sampler)

    def on_train_epoch_end(self):
        own = torch.cat([p.detach().flatten() for p in self.parameters()])
        if self.trainer.world_size > 1:
            ranks = [torch.empty_like(own) for _ in range(self.trainer.world_size)]
            dist.all_gather(ranks, own)
            assert all(torch.equal(rank, own) for rank in ranks), "the ranks have drifted apart"
        self.weights.append(own)


if __name__ == "__main__":
    devices, strategy, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    model = Net()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy=strategy,
        max_epochs=3,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model)
    if trainer.is_global_zero:
        torch.save({"weights": torch.stack(model.weights), "steps": trainer.global_step}, out)
