"""The split explorer: what each split holds and costs, what stays trainable, what the optimizer has."""

import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure
from torch import nn
from torch.optim import Optimizer

from difflr.experiments.flops import costs_or_why
from difflr.figures.picture import Drawing
from difflr.figures.style import split_colours
from difflr.figures.words import short
from difflr.freezing import bn_mode, freeze_to
from difflr.inspector import split_rows
from difflr.lightning.package import pl
from difflr.models.optimizers import momentum_of
from difflr.splits import Splits, split_model
from difflr.widgets._native import Slider
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box, table_html
from difflr.widgets._pump import pump

__all__ = ["SplitExplorer", "SplitFigure"]

_KINDS = ("parameters", "forward, FLOP per picture", "backward, FLOP per picture")


class SplitFigure(Drawing):
    """Three bar charts side by side, one row per split; ``bars[kind][split]`` are the rectangles."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        n = len(self.names)
        self._colours = split_colours(n)
        height = 0.8 + min(0.34 * n, 6)
        self.figure = Figure(figsize=(9, height), dpi=80)
        self._axes = [
            self.figure.add_axes((0.1 + 0.305 * i, 0.35 / height, 0.25, (height - 0.75) / height))
            for i in range(3)
        ]
        self.bars, self._texts = [], []
        for axes, kind in zip(self._axes, _KINDS, strict=True):
            bars = axes.barh(range(n), [0.0] * n, color=self._colours, edgecolor="black", lw=0.8)
            self.bars.append(list(bars))
            self._texts.append([axes.text(0, i, "", va="center", fontsize=10) for i in range(n)])
            axes.set_ylim(n - 0.5, -0.5)
            axes.set_title(kind, fontsize=11.5, loc="left")
            axes.set_yticks([])
            axes.set_xticks([])  # each bar bears its number
            axes.spines[["top", "right", "bottom"]].set_visible(False)
        self._axes[0].set_yticks(range(n), self.names, fontsize=11, parse_math=False)
        self._hatched = self.figure.text(0.985, 0.1 / height, "", ha="right", fontsize=11)

    def update(
        self, sizes: Sequence[int], forward: Sequence[int], backward: Sequence[int], first: int
    ) -> str:
        """Show these numbers with the splits before ``first`` frozen; return them in words."""
        self._hatched.set_text("hatched: frozen" if first else "")
        words = []
        series = (sizes, forward, backward)
        for axes, bars, texts, kind, values in zip(
            self._axes, self.bars, self._texts, _KINDS, series, strict=True
        ):
            shown = list(values) or [0] * len(self.names)
            top = max(shown) or 1
            if kind.startswith("backward") and forward:
                top = 2 * max(forward)  # stays, so that one sees the bars shrink
            axes.set_xlim(0, 1.3 * top)
            for i, (bar, text, value) in enumerate(zip(bars, texts, shown, strict=True)):
                bar.set(width=value)
                frozen = i < first
                bar.set(facecolor="#eeeeee" if frozen else self._colours[i])
                bar.set_hatch("////" if frozen else None)
                text.set(x=value + 0.02 * top, text=_short(value) if values else "not known")
            if values:
                pairs = zip(self.names, shown, strict=True)
                words.append(f"{kind}: " + ", ".join(f"{name} {_short(v)}" for name, v in pairs))
        return "; ".join(words) + "."


def _short(count: int) -> str:
    """Write a count with two digits: 460, 4.7k, 11M, 1.8G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.{0 if count >= 10 * size else 1}f}{letter}"
    return f"{count}"


class SplitExplorer(Panel):
    """Look at splits and optimizer as they are, and at what another ``freeze_to`` would change.

    Args:
        splits: the model or its splits.
        optimizer: whose groups to show.
        input_shape: of one picture, to count costs; None does without.

    The slider only asks "what if"; the button freezes the model. ``refresh()`` looks again, and
    ``callback()`` returns a Lightning callback that does so while a trainer runs.
    """

    def __init__(
        self,
        splits: Splits | nn.Module,
        optimizer: Optimizer | None = None,
        input_shape: Sequence[int] | None = (3, 224, 224),
    ) -> None:
        super().__init__()
        self.splits = split_model(splits) if isinstance(splits, nn.Module) else splits
        self.optimizer = optimizer
        self.costs, self._note = costs_or_why(self.splits, input_shape)
        trains = [any(p.requires_grad for p in s.parameters.values()) for s in self.splits]
        self.figure = SplitFigure(self.splits.names)
        self.picture = picture_box(*self.figure.size)
        self.freeze_to = Slider(
            options=[(name, i) for i, name in enumerate(self.splits.names)],
            value=trains.index(True) if True in trains else 0,
            description="Train from",
            style={"description_width": "6.5em"},
            layout=w.Layout(width="30em"),
        )
        self.apply = button("Freeze the model like this", "Call freeze_to with this split")
        self.renew = button("Look again", "Read model and optimizer anew")
        self.message = w.HTML(layout=w.Layout(min_height="3em"))
        self.table, self.groups = w.HTML(), w.HTML()
        self.freeze_to.observe(lambda _: self._show_what_if(), "value")
        self.apply.on_click(lambda _: self._freeze())
        self.renew.on_click(lambda _: self.refresh())
        bar = w.HBox(
            [self.freeze_to, self.apply, self.renew], layout=w.Layout(flex_flow="row wrap")
        )
        self.widget = w.VBox([bar, self.message, framed(self.picture), self.table, self.groups])
        self._show_what_if()
        self.refresh()

    def refresh(self) -> None:
        """Read model and optimizer as they are now."""
        with self._lock:
            head = ["split", "tensors", "parameters", "share", "now", "BatchNorm"]
            rows = [
                [r.name, f"{r.tensors}", f"{r.parameters:,}", f"{r.share:.1%}", r.trainable, r.bn]
                for r in split_rows(self.splits, self.optimizer)
            ]
            self.table.value = "<b>The splits now</b>" + table_html(head, rows)
            self.groups.value = self._groups()

    def callback(self, every: float = 1.0) -> pl.Callback:
        """Return a Lightning callback: take the trainer's optimizer, look again every ``every`` s."""
        return _Follow(self, every)

    def _groups(self) -> str:
        if self.optimizer is None:
            return "<b>The optimizer's groups now</b>: no optimizer given"
        rows = [
            [
                str(group.get("name", i)),
                short(group["lr"]) if group["lr"] else "0",
                f"{momentum_of(group) or 0.0:.3g}",
                f"{group.get('weight_decay', 0):g}",
                f"{len(group['params'])}",
                f"{sum(p.requires_grad for p in group['params'])}",
            ]
            for i, group in enumerate(self.optimizer.param_groups)
        ]
        head = ["group", "LR", "momentum", "weight decay", "tensors", "of them training"]
        return "<b>The optimizer's groups now</b>" + table_html(head, rows)

    def _freeze(self) -> None:
        with self._lock:
            freeze_to(self.splits, self.freeze_to.value)
            self._show_what_if("Done: the model is frozen like this. ")
            self.refresh()

    def _show_what_if(self, before: str = "") -> None:
        with self._lock:
            first = self.freeze_to.value
            on = range(first, len(self.splits))
            sizes = [split.numel for split in self.splits]
            part = sum(sizes[i] for i in on)
            text = f"freeze_to={first}: {part:,} of {sum(sizes):,} parameters train ({part / sum(sizes):.1%})"
            forward: Sequence[int] = ()
            backward: Sequence[int] = ()
            if self.costs is not None:
                forward, backward = self.costs.forward, self.costs.backward(on)
                text += f"; a step costs {self.costs.share(on):.0%} of one that trains all"
            held = [s.name for s in self.splits[:first] if bn_mode(s) != "-"]
            if held:
                text += f". BatchNorm keeps its statistics in {', '.join(held)}"
            words = f"{text}. " + self.figure.update(sizes, forward, backward, first)
            self.picture.show(self.figure.png(), words)
            self.message.value = message_html(f"{before}{self._note} {text}.".strip())
            self._refresh_static()


class _Follow(pl.Callback):
    """Give the explorer the trainer's optimizer, and let it look again every ``every`` seconds."""

    def __init__(self, explorer: SplitExplorer, every: float = 1.0) -> None:
        self.explorer = explorer
        self.every = every
        self._looked = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.explorer.optimizer = trainer.optimizers[0]
        self.explorer.refresh()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        pump()
        if time.monotonic() - self._looked >= self.every:
            self._looked = time.monotonic()
            self.explorer.refresh()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.explorer.refresh()
