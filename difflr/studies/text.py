"""Questions in the place of pictures: a small transformer, pre-trained on sentences, sorts TREC's.

Tokens stand where pixels do, so the runs, their measures and their recording are those of every other
study. Needs the packages transformers and tokenizers; data and weights are read from folders.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from difflr.errors import DifflrError, first_few, short_repr
from difflr.experiments.backbones import Backbone, file_sha256
from difflr.experiments.data import Images
from difflr.experiments.statedict import as_float, read_state
from difflr.extras import require
from difflr.studies.design import TEXT, TREC_FILES, need_file
from difflr.written.files import read_within, user_path

__all__ = ["CLASSES", "TextNetwork", "load_questions", "load_text_backbone"]

CLASSES = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
_TOKENS = 40  # the longest question has 41 with the two marks around it


class TextNetwork(nn.Module):
    """A transformer's encoder, the mean of its tokens, and a linear layer.

    Args:
        encoder: of Hugging Face; takes ``input_ids`` and ``attention_mask`` (N, L).
        width: of its hidden states.
        n_classes: of the head ``fc``.
        padding: number of the token that fills up short texts.
    """

    def __init__(self, encoder: nn.Module, width: int, n_classes: int = 6, padding: int = 0):
        super().__init__()
        self.encoder, self.padding = encoder, padding
        self.fc = nn.Linear(width, n_classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) for the numbers of tokens (N, L), int64."""
        mask = tokens != self.padding
        if tokens.is_meta:  # operations are counted at full length, without knowing what is padding
            return self.fc(self.encoder(input_ids=tokens)[0].mean(1))
        longest = int(mask.sum(1).max())  # a batch needs no more room than this
        tokens, mask = tokens[:, :longest], mask[:, :longest]
        hidden = self.encoder(input_ids=tokens, attention_mask=mask.long())[0]
        weights = mask.unsqueeze(2).to(hidden.dtype)
        return self.fc((hidden * weights).sum(1) / weights.sum(1))


@lru_cache(maxsize=2)
def load_questions(data: str, weights: str) -> tuple[Images, Images]:
    """Return TREC's questions to train on and to test on, as tokens (N, 40) with TREC-6's labels.

    Args:
        data: ``trec6:FOLDER`` with ``train_5500.label`` and ``TREC_10.label`` as they are published.
        weights: folder of the transformer, whose ``tokenizer.json`` is used.

    Raises:
        DifflrError: for files that are missing or read otherwise.
    """
    require("The study text", "tokenizers")
    from tokenizers import Tokenizer

    path = need_file(user_path(weights), "tokenizer.json", "--weights")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # of a library written in Rust
        raise DifflrError(f"{path} is no tokenizer: {error}.", "Pass another folder.") from error
    tokenizer.enable_truncation(_TOKENS)
    tokenizer.enable_padding(length=_TOKENS)
    folder = user_path(data.removeprefix(TEXT))
    train, test = (_read(need_file(folder, name, "--data"), tokenizer) for name in TREC_FILES)
    return train, test


def _read(path: Path, tokenizer: Any) -> Images:
    texts, labels = [], []
    for number, line in enumerate(read_within(path).decode("latin-1").split("\n"), 1):
        kind, _, question = line.partition(" ")
        coarse = kind.partition(":")[0]
        if not line:
            continue
        if coarse not in CLASSES or not question.strip():
            raise DifflrError(
                f"Line {number} of {path} is {short_repr(line)}.",
                f"A line is CLASS:fine question; the classes are {', '.join(CLASSES)}.",
            )
        texts.append(question.strip())
        labels.append(CLASSES.index(coarse))
    ids = [encoded.ids for encoded in tokenizer.encode_batch(texts)]
    return Images(torch.tensor(ids), torch.tensor(labels))


def load_text_backbone(name: str, weights: str) -> Backbone:
    """Return a transformer from a folder as Hugging Face writes it, with ``fc`` as its head.

    Nothing is downloaded and no code of the folder is run.

    Args:
        name: what to call it.
        weights: folder with ``config.json`` and ``model.safetensors``.

    Raises:
        DifflrError: for files that are missing, or weights of another architecture.
    """
    require("The study text", "transformers")
    from transformers import AutoConfig, AutoModel

    folder = user_path(weights)
    path = need_file(folder, "model.safetensors", "--weights")
    try:
        said = json.loads(read_within(need_file(folder, "config.json", "--weights")))
        config = AutoConfig.for_model(**said)
    except (ValueError, TypeError, KeyError) as error:
        raise DifflrError(
            f"The configuration in {folder} cannot be used: {error}.", "Pass another folder."
        ) from error

    def make(num_classes: int = len(CLASSES)) -> nn.Module:
        encoder = AutoModel.from_config(config, add_pooling_layer=False)
        return TextNetwork(encoder, config.hidden_size, num_classes, config.pad_token_id or 0)

    state = as_float(path, read_state(path))
    network = make()
    own = {key for key in network.state_dict() if key.startswith("encoder.")}
    found = {f"encoder.{key}": value for key, value in state.items() if f"encoder.{key}" in own}
    if missing := sorted(own - set(found)):
        raise DifflrError(
            f"The weights in {folder} lack {first_few(missing, 3)}.", "Pass another folder."
        )
    try:
        network.load_state_dict(found, strict=False)
    except RuntimeError as error:
        raise DifflrError(
            f"The weights in {folder} do not fit: {error}.", "Pass others."
        ) from error
    whole = network.state_dict()
    return Backbone(name, folder.name, file_sha256(path), (), (), make, whole)
