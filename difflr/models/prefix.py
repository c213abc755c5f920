"""Keep what the frozen part of a network makes of the pictures, instead of computing it every epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.dropout import _DropoutNd

from difflr.errors import DifflrError, short_repr
from difflr.models.running_stats import follows_data

__all__ = ["CachedPrefix", "cut_prefix"]

_RANDOM = ("dropout", "drop_path", "stochastic_depth")


class CachedPrefix:
    """Logits of pictures by their index; the network's frozen prefix sees each picture once a phase.

    What trains, and which BatchNorm layers are awake, is looked at in every call: the features are
    computed anew when it has changed, or when a frozen weight has. Augmented pictures are new in every
    epoch and cannot be kept. Memory: the features of all pictures.

    In a LightningModule, with ``DataLoader(TensorDataset(torch.arange(len(labels)), labels))``::

        self.logits = difflr.CachedPrefix(self.model, inputs)  # in __init__


        def training_step(self, batch, batch_idx):
            index, labels = batch
            return F.cross_entropy(self.logits(index), labels)

    Args:
        network: with one tensor as input and one as output.
        inputs: of all pictures (N, ...).
        prepare: what makes the network's input from some of them, such as normalisation.
        batch_size: pictures at a time while features are computed.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: torch.Tensor,
        prepare: Callable[[torch.Tensor], torch.Tensor] = lambda x: x,
        *,
        batch_size: int = 64,
    ) -> None:
        self.network, self.inputs, self.prepare = network, inputs, prepare
        self.batch_size = batch_size
        self._key: Any = None
        self._rest: nn.Module = network
        self._features: torch.Tensor | None = None

    def __call__(self, index: torch.Tensor) -> torch.Tensor:
        """Return the network's output (len(index), ...) for the pictures with these numbers."""
        key = _state(self.network)
        if key != self._key:
            self._compute()
            self._key = key
        if self._features is None:
            return self.network(self._input(index))
        return self._rest(self._features[index.to(self._features.device)])

    @torch.no_grad()
    def _compute(self) -> None:
        self._features = None  # before the new ones are made: both at once could be too much
        prefix, self._rest = cut_prefix(self.network)
        if prefix is not None:
            parts = torch.arange(len(self.inputs)).split(self.batch_size)
            self._features = torch.cat([prefix(self._input(part)) for part in parts])

    def _input(self, index: torch.Tensor) -> torch.Tensor:
        device = next(self.network.parameters()).device
        return self.prepare(self.inputs[index.to(self.inputs.device)].to(device))


def cut_prefix(network: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """Cut a network at the last place before training begins: (what comes before it, what follows).

    Before the cut lies nothing that trains or gives something else each time (dropout, BatchNorm in
    train mode), and one tensor passes it. Without such a place the first part is None. Both parts hold
    the network's own modules.

    Raises:
        DifflrError: when torch.fx cannot follow the network's ``forward``.
    """
    try:
        traced = fx.symbolic_trace(network)
    except Exception as error:
        raise DifflrError(
            f"The forward of {type(network).__name__} cannot be cut: {short_repr(str(error))}.",
            "Train it without the cache: torch.fx cannot follow branches that depend on data.",
        ) from error
    nodes = [node for node in traced.graph.nodes if node.op != "get_attr"]
    entry, at = nodes[0], 0
    for i, node in enumerate(nodes[:-1]):  # the last one is the output
        if _unsteady(traced, node):
            break
        if _passing(nodes, i) == {node}:
            at = i
    if not at:
        return None, network
    before = _part(traced, entry, nodes[1 : at + 1], nodes[at])
    after = _part(traced, nodes[at], nodes[at + 1 : -1], nodes[-1].args[0])
    return before, after


def _passing(nodes: Sequence[fx.Node], i: int) -> set[fx.Node]:
    """Return which results of the nodes up to ``i`` are used by later ones."""
    early, late = set(nodes[: i + 1]), nodes[i + 1 :]
    return {source for node in late for source in node.all_input_nodes if source in early}


def _part(
    traced: fx.GraphModule, entry: fx.Node, nodes: Sequence[fx.Node], result: Any
) -> nn.Module:
    graph = fx.Graph()
    copies = {entry: graph.placeholder("x")}
    used = {source for node in nodes for source in node.all_input_nodes}
    attributes = [n for n in traced.graph.nodes if n.op == "get_attr" and n in used]
    for node in (*attributes, *nodes):
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[result])
    return fx.GraphModule(traced, graph)


def _unsteady(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a step of the forward trains, or gives something else each time."""
    if node.op == "call_module":
        return _moves(traced.get_submodule(str(node.target)))
    if any(_trains(traced, source) for source in node.all_input_nodes):
        return True
    called = getattr(node.target, "__name__", str(node.target))
    return node.op == "call_function" and any(word in called for word in _RANDOM)


def _trains(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is a parameter that trains, used without a module around it."""
    if node.op != "get_attr":
        return False
    owner, _, name = str(node.target).rpartition(".")
    return bool(getattr(getattr(traced.get_submodule(owner), name), "requires_grad", False))


def _moves(module: nn.Module) -> bool:
    """Whether a module trains, or gives something else each time."""
    return any(p.requires_grad for p in module.parameters()) or any(
        part.training and (_drops(part) or follows_data(part)) for part in module.modules()
    )


def _drops(module: nn.Module) -> bool:
    return isinstance(module, _DropoutNd) and module.p > 0


def _state(network: nn.Module) -> Any:
    """Return what decides about the features: what trains, and the versions of what does not."""
    weights = tuple(
        (p.requires_grad, None if p.requires_grad else (id(p), p._version))
        for p in network.parameters()
    )
    return weights, tuple(m.training for m in network.modules())
