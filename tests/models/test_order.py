import pytest
import torch
from nets import TinyNet
from torch import nn

from difflr import DifflrError, check_order, split_model

X = torch.randn(2, 3, 8, 8)


class Net(nn.Module):
    """Its modules are registered in another order than that in which forward calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.late, self.early = nn.Linear(4, 2), nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor, *, twice: bool = False) -> torch.Tensor:
        x = self.norm(self.early(x))
        x = self.early(x) if twice else x
        return self.head(self.late(x))


def test_splits_in_the_order_of_forward_pass():
    """However the modules are registered, and however often one is called."""
    splits = split_model(Net(), {"early": ["early", "norm"], "late": "late", "head": "head"})
    check_order(splits, torch.randn(3, 4), twice=True)
    check_order(split_model(TinyNet()), X)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"late": "late", "early": ["early", "norm"], "head": "head"}, "early before late"),
        ({"head": "head", "early": ["early", "norm"], "late": "late"}, "early before head"),
    ],
)
def test_splits_in_another_order_are_named(how, words):
    """The message names the pair, the remedy what to write."""
    with pytest.raises(DifflrError, match=words) as error:
        check_order(split_model(Net(), how), torch.randn(3, 4))
    assert "dictionary" in error.value.remedy


def test_the_model_is_left_as_it_was():
    """Modes, statistics and hooks, also where forward fails."""
    net = Net().train()
    net.late.eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    splits = split_model(net, {"early": ["early", "norm"], "late": "late", "head": "head"})
    check_order(splits, torch.randn(3, 4))
    with pytest.raises(RuntimeError, match="shapes"):
        check_order(splits, torch.randn(3, 5))
    assert [m.training for m in (net, net.late, net.norm)] == [True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_one_module_of_a_split_does_not_move_it():
    """It is the moment at which half of the modules have been called that counts."""
    many = nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)])
    cut = split_model(many, {"a": ["1", "2"], "b": ["0", "3", "4", "5"]})
    check_order(cut, torch.randn(3, 4))
