"""The recipes of docs/howto/ten-lines.md, run as they stand there."""

import re
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hf_zoo import ZOO
from nets import TinyNet, loader
from torch import nn
from torch.nn import functional as F
from which_lightning import pl

import difflr

for library in ("timm", "transformers", "peft", "accelerate", "jsonargparse"):
    pytest.importorskip(library, reason="tests/support/peers.sh installs it")
PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "ten-lines.md").read_text("utf-8")
FOUND = re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
BLOCKS: dict[str, str] = dict(FOUND)
PRELUDE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
EPOCHS = 3


def space(**given):
    """What a reader has: the imports, the loop of the page's first recipe, and what is given."""
    names = {"epochs": EPOCHS, **given}
    exec(PRELUDE + BLOCKS["Your own loop"], names)
    return names


def run(title: str, names: dict) -> dict:
    """Run a recipe and return its names."""
    exec(BLOCKS[title], names)
    return names


def moved(splits, before):
    """Which splits differ from the copies made before."""
    return [
        any(not torch.equal(p, before[n]) for n, p in split.parameters.items()) for split in splits
    ]


def copies(model):
    """All weights and buffers as they are."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def words(n: int = 4):
    """Batches of a text classifier of Hugging Face."""
    batch = {"input_ids": torch.arange(3, 9)[None].repeat(2, 1), "labels": torch.tensor([0, 1])}
    return [batch] * n


def prepared(model, recipe="gradual", batches=4, **given):
    """Splits, plan, optimizer and scheduler for the recipes that begin with them."""
    splits = difflr.split_model(model)
    plan = difflr.make_plan(recipe, splits, EPOCHS, lr=1e-2)
    optimizer = torch.optim.AdamW(difflr.param_groups(splits))
    scheduler = difflr.PlanScheduler(optimizer, plan, batches)
    return space(
        model=model, splits=splits, plan=plan, optimizer=optimizer, scheduler=scheduler, **given
    )


@pytest.mark.parametrize("title", BLOCKS)
def test_a_recipe_has_ten_lines_or_fewer(title):
    """Empty lines are not counted."""
    assert sum(bool(line.strip()) for line in BLOCKS[title].splitlines()) <= 10


def test_every_recipe_of_the_page_is_run():
    """By a test below, the loop by most of them; two networks in tests/lightning, with either package."""
    lightning = Path(__file__).parents[1] / "lightning" / "test_optimizers.py"
    source = Path(__file__).read_text("utf-8") + lightning.read_text("utf-8")
    assert len(BLOCKS) == 11
    assert [title for title in BLOCKS if source.count(f'"{title}"') == 0] == []


def test_timm(monkeypatch):
    """Rates fall by 0.75 from block to block, at every step; everything moves."""
    import timm

    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, pretrained, **k: make(*a, **k))
    data = [(torch.randn(1, 3, 224, 224), torch.tensor([1]))] * 2
    names = run("A ViT of timm with layer decay", space(loader=data))
    splits = names["splits"]
    assert splits.names == ("stem", *(f"blocks.{i}" for i in range(12)), "head")
    lrs = names["plan"].lrs(3, 2)
    assert lrs[0] / lrs[-1] == pytest.approx(0.75**13)
    assert names["scheduler"].last_epoch == 2 * EPOCHS


def test_hugging_faces_trainer(tmp_path):
    """Each split moves in its phases alone, and BatchNorm below them keeps its statistics."""
    from transformers import TrainerCallback, TrainingArguments

    torch.manual_seed(0)
    model, _ = ZOO["ResNet"]()
    data = [{"pixel_values": torch.randn(3, 32, 32), "labels": i % 2} for i in range(8)]
    args = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=2, num_train_epochs=EPOCHS, report_to=[],
        use_cpu=True, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    names = prepared(model, "gradual", data=data, args=args)
    splits, seen = names["splits"], []

    class Watch(TrainerCallback):
        def on_epoch_begin(self, *_, **__):
            self.before = copies(model)

        def on_epoch_end(self, *_, **__):
            now = copies(model)
            held = [all(not p.requires_grad for p in s.parameters.values()) for s in splits]
            frozen = [n for s, h in zip(splits, held, strict=True) if h for n in s.parameters]
            parents = {n.rpartition(".")[0] for n in frozen}
            assert all(
                torch.equal(now[n], self.before[n]) for n in now if n.rpartition(".")[0] in parents
            )
            seen.append(moved(splits, self.before))

    monitor = Watch()
    names["args"] = args
    exec(BLOCKS["Hugging Face's Trainer"].replace("optimizers=", "callbacks=[monitor], optimizers="),
         names | {"monitor": monitor})  # fmt: skip
    assert seen == [list(names["plan"].phase_at(epoch).trainable) for epoch in range(EPOCHS)]


def test_accelerate():
    """As the loop of one's own, to the last bit."""
    results = []
    for title in ("Accelerate", "Your own loop"):
        torch.manual_seed(0)
        names = prepared(TinyNet(), loader=loader(4))
        names["loss_of"] = lambda b, net=names["model"]: F.cross_entropy(net(b[0]), b[1])
        run(title, names)
        if title == "Your own loop":
            names["train"](*(names[n] for n in ("splits", "optimizer", "scheduler", "loss_of")))
        results.append(copies(names["model"]))
    assert all(torch.equal(results[0][n], results[1][n]) for n in results[0])


def test_lora():
    """Adapters and the head move, the base does not; B's rate is sixteen times A's."""
    model, _ = ZOO["BERT"]()
    names = run("LoRA, with another rate for its B matrices", space(model=model, loader=words()))
    factors = {g["name"]: g.get("lr_factor", 1) for g in names["optimizer"].param_groups}
    assert factors["layer.0/lora_B"] == 16
    assert all(
        moved(names["splits"], {n: torch.zeros(()) for n, _ in names["model"].named_parameters()})
    )
    awake = {n for n, p in names["model"].named_parameters() if p.requires_grad}
    assert all("lora_" in name or "modules_to_save" in name for name in awake)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="Muon came with torch 2.9")
def test_muon():
    """Every split moves, and the plan's last phase has reached both members."""
    model, _ = ZOO["BERT"]()
    before = copies(model)
    names = run("Muon for matrices, AdamW for the rest", space(model=model, loader=words()))
    assert all(moved(names["splits"], before))
    muon, adamw = names["optimizer"].members
    sizes = [sum(len(g["params"]) for g in one.param_groups) for one in (muon, adamw)]
    # Query, key, value, output and two of the feed-forward part in each of four layers, and the pooler.
    assert sizes == [25, len(list(model.parameters())) - 25]


class UNet(nn.Module):
    """Two levels down, two up with what the way down hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.up1, self.out = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        first = self.down1(x).relu()
        up = self.up1(self.middle(self.down2(first).relu()).relu())
        return self.out(torch.cat([first, up], 1))


def test_a_u_net():
    """The head alone, then everything on one cosine."""
    data = [(torch.randn(2, 3, 8, 8), torch.randint(0, 4, (2, 8, 8)))] * 4
    model = UNet()
    before = copies(model)
    names = run("A U-Net", space(model=model, loader=data))
    assert [phase.trained for phase in names["plan"].phases] == [(4,), (0, 1, 2, 3, 4)]
    assert all(moved(names["splits"], before))


class Text(nn.Module):
    """An embedding, an LSTM of three layers, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.lstm, self.fc = nn.LSTM(4, 4, 3, batch_first=True), nn.Linear(4, 2)

    def forward(self, ids):
        return self.fc(self.lstm(self.embedding(ids))[0][:, -1])


def test_an_lstm():
    """Five splits, unfrozen one after the other."""
    data = [(torch.randint(0, 9, (4, 5)), torch.randint(0, 2, (4,)))] * 4
    model = Text()
    before = copies(model)
    names = run("An LSTM on text, as in ULMFiT", space(model=model, loader=data))
    assert names["splits"].names == ("stem", "lstm_l0", "lstm_l1", "lstm_l2", "head")
    assert all(moved(names["splits"], before))


def quiet(**options):
    """Options of a trainer that writes nothing."""
    return {"accelerator": "cpu", "logger": False, "enable_checkpointing": False,
            "enable_progress_bar": False, "enable_model_summary": False, **options}  # fmt: skip


def test_a_teacher_stays_bit_for_bit():
    """Its BatchNorm statistics too; the student learns."""
    teacher, student = TinyNet(), TinyNet()
    names = run("Distillation from a frozen teacher", space(teacher=teacher, student=student))
    before, old = copies(teacher), copies(student)
    pl.Trainer(max_epochs=EPOCHS, **quiet()).fit(names["Distil"](), loader(3))
    assert all(torch.equal(value, before[name]) for name, value in copies(teacher).items())
    assert not any(torch.equal(p, old[n]) for n, p in student.named_parameters())


class Photos(pl.LightningDataModule):
    """Noise in the place of photographs."""

    def train_dataloader(self):
        return loader(3)


def test_the_command_line(monkeypatch):
    """Recipe, rate and length come from it."""
    flags = [f"--trainer.{key}={str(value).lower()}" for key, value in quiet().items()]
    line = ["train.py", "fit", "--model.recipe=two_rates", "--model.epochs=2", "--model.lr=0.01"]
    monkeypatch.setattr(sys, "argv", [*line, "--trainer.max_epochs=2", *flags])
    cli = import_module(f"{pl.__name__}.cli")
    monkeypatch.setattr(cli, "LightningCLI", partial(cli.LightningCLI, save_config_callback=None))
    names = run("LightningCLI", space(network=TinyNet, Photos=Photos, __name__="train"))
    assert names["cli"].trainer.global_step == 6
    assert max(names["cli"].model.plan.phases[0].lrs) == 0.01
