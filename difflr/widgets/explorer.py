"""The split explorer: what each split holds and costs, what stays trainable, what the optimizer has."""

import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as w
from torch import nn
from torch.optim import Optimizer

from difflr.cost import Costs, count_costs
from difflr.errors import DifflrError
from difflr.freezing import bn_mode, freeze_to
from difflr.inspector import split_rows
from difflr.splits import Splits, split_model
from difflr.widgets.panel import Panel, button, message_html, picture_box, table_html
from difflr.widgets.splitfigure import SplitFigure

__all__ = ["SplitExplorer"]


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
        self.costs: Costs | None = None
        note = ""
        if input_shape is not None:
            try:
                self.costs = count_costs(self.splits, input_shape)
            except DifflrError as error:
                note = f"No costs: {error}"
        n = len(self.splits)
        self.figure = SplitFigure(self.splits.names)
        self.picture = picture_box(*self.figure.size)
        self.freeze_to = w.SelectionSlider(
            options=[(name, i) for i, name in enumerate(self.splits.names)],
            value=next((i for i in range(n) if self._trains()[i]), 0),
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
        self.widget = w.VBox([bar, self.message, self.picture, self.table, self.groups])
        self._note = note
        self._show_what_if()
        self.refresh()

    def refresh(self) -> None:
        """Read model and optimizer as they are now."""
        with self._lock:
            rows = split_rows(self.splits, self.optimizer)
            head = ["split", "tensors", "parameters", "share", "now", "BatchNorm"]
            self.table.value = "<b>The splits now</b>" + table_html(
                head,
                [
                    [
                        r.name,
                        f"{r.tensors}",
                        f"{r.parameters:,}",
                        f"{r.share:.1%}",
                        r.trainable,
                        r.bn,
                    ]
                    for r in rows
                ],
            )
            self.groups.value = self._groups()

    def callback(self, every: float = 1.0) -> Any:
        """Return a Lightning callback that keeps this explorer up to date while a trainer runs."""
        from difflr.widgets.attach import ExplorerCallback

        return ExplorerCallback(self, every)

    def _groups(self) -> str:
        if self.optimizer is None:
            return "<b>The optimizer's groups now</b>: no optimizer given"
        rows = []
        for i, group in enumerate(self.optimizer.param_groups):
            momentum = group.get("betas", [group.get("momentum", 0.0)])[0]
            rows.append(
                [
                    str(group.get("name", i)),
                    f"{float(group['lr']):.3g}",
                    f"{momentum:.3g}",
                    f"{group.get('weight_decay', 0):g}",
                    f"{len(group['params'])}",
                    f"{sum(p.requires_grad for p in group['params'])}",
                ]
            )
        head = ["group", "LR", "momentum", "weight decay", "tensors", "of them training"]
        return "<b>The optimizer's groups now</b>" + table_html(head, rows)

    def _trains(self) -> list[bool]:
        return [any(p.requires_grad for p in s.parameters.values()) for s in self.splits]

    def _freeze(self) -> None:
        with self._lock:
            freeze_to(self.splits, self.freeze_to.value)
            self.refresh()
            self._show_what_if("Done: the model is frozen like this. ")

    def _show_what_if(self, before: str = "") -> None:
        with self._lock:
            first = self.freeze_to.value
            on = range(first, len(self.splits))
            sizes = [split.numel for split in self.splits]
            part = sum(sizes[i] for i in on)
            text = (
                f"freeze_to={first}: {part:,} of {sum(sizes):,} parameters train "
                f"({part / sum(sizes):.1%})"
            )
            forward: Sequence[int] = ()
            backward: Sequence[int] = ()
            if self.costs is not None:
                forward, backward = self.costs.forward, self.costs.backward(on)
                text += f"; a step costs {self.costs.share(on):.0%} of one that trains all"
            held = [s.name for s in self.splits[:first] if bn_mode(s) != "-"]
            if held:
                text += f". BatchNorm keeps its statistics in {', '.join(held)}"
            self.message.value = message_html(f"{before}{self._note} {text}.".strip(), bad=False)
            self.alt = f"{text}. " + self.figure.update(sizes, forward, backward, first)
            self.picture.value = self.figure.png()
            self._drawn = time.monotonic()
