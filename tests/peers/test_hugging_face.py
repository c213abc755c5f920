"""Hugging Face's architectures, in small: cut in the order of their forward."""

import pytest
from forward_order import check_cuts
from hf_zoo import ZOO

from difflr import replace_head, report, split_model

pytest.importorskip("transformers", reason="tests/support/peers.sh installs it")


@pytest.mark.parametrize("name", ZOO)
def test_an_architecture_is_cut_in_the_order_of_its_forward(name):
    """Embeddings first, then the lists of layers, the head last."""
    model, inputs = ZOO[name]()
    model.eval()
    check_cuts(model, lambda: model(**inputs), least=3)


def test_a_model_keeps_its_number_of_labels_in_step():
    """Its loss goes by that number."""
    model = replace_head(ZOO["BERT"]()[0], 5)
    assert model.classifier.out_features == model.num_labels == model.config.num_labels == 5


@pytest.mark.parametrize("name", ["T5", "BART", "GPT-2"])
def test_a_tied_head_has_no_split_of_its_own_and_the_report_says_so(name):
    """Its only weight is the embedding's, which trains in the first split."""
    splits = split_model(ZOO[name]()[0])
    assert "head" not in splits.names
    assert "lm_head.weight is " in report(splits)
