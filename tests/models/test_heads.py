import pytest
import torchvision
from torch import nn

from difflr import DifflrError, replace_head


class HeadFirst(nn.Module):
    """A network that declares its head before its body."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 10)
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4))


def test_a_head_is_found_by_its_name_wherever_it_is_declared():
    """And the body keeps what it has."""
    model = replace_head(HeadFirst(), 3)
    assert model.fc.out_features == 3
    assert model.body[2].out_features == 4


class Output(nn.Module):
    """Another name for a head, declared first as well."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(4, 10)
        self.encoder = nn.Linear(3, 4)


def test_the_head_of_a_network_in_a_wrapper_is_found():
    """A module around a single network, as a LightningModule is; and by more names than one."""
    model = nn.ModuleDict({"net": nn.ModuleDict({"inner": HeadFirst()}), "loss": nn.MSELoss()})
    assert replace_head(model, 3) is model
    inner = model["net"]["inner"]
    assert (inner.fc.out_features, inner.body[2].out_features) == (3, 4)
    other = replace_head(Output(), 3)
    assert (other.output.out_features, other.encoder.out_features) == (3, 4)


@pytest.mark.parametrize(
    ("name", "child"), [("vit_b_16", "heads"), ("mobilenet_v3_small", "classifier")]
)
def test_the_last_linear_layer_of_a_head_is_replaced(name, child):
    """A head may have several."""
    model = replace_head(torchvision.models.get_model(name, weights=None), 3)
    linear = [m for m in getattr(model, child).modules() if isinstance(m, nn.Linear)]
    assert linear[-1].out_features == 3
    assert all(layer.out_features != 3 for layer in linear[:-1])


def test_a_head_without_a_linear_layer_is_refused():
    """SqueezeNet's is a convolution; a layer of the body is no substitute."""
    model = nn.ModuleDict({"body": nn.Linear(2, 2), "classifier": nn.Conv2d(2, 2, 1)})
    with pytest.raises(DifflrError, match="no linear layer in its head, classifier"):
        replace_head(model, 3)
