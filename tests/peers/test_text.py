"""The study of questions, on a transformer of two small layers and a few questions."""

import json

import pytest
import torch

from difflr import DifflrError, split_model
from difflr.cli.command import main
from difflr.experiments.flops import count_costs
from difflr.studies.recordings import load_recording
from difflr.studies.text import CLASSES, load_questions, load_text_backbone

transformers = pytest.importorskip("transformers", reason="tests/support/peers.sh installs it")

WORDS = ("[PAD]", "[UNK]", "how", "who", "where", "is", "was", "many", "the", "city", "?")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder as Hugging Face writes it: configuration, weights and a tokenizer of eleven words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
    config = transformers.BertConfig(vocab_size=len(WORDS), num_attention_heads=2, **sizes)
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)  # with a pooler, which is left out
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """TREC's two files, in latin-1, with a few questions of each class."""
    folder = tmp_path_factory.mktemp("trec6")
    lines = [f"{kind}:x who is the city {i} ?" for i in range(30) for kind in CLASSES]
    (folder / "train_5500.label").write_text("\n".join([*lines, ""]), "latin-1")
    (folder / "TREC_10.label").write_text("\n".join([*lines[:60], "LOC:x caf\xe9 ?"]), "latin-1")
    return folder


def test_questions_are_tokens_and_coarse_labels(model, questions):
    """Filled up to forty, the mark of padding is 0; a last line needs no end."""
    train, test = load_questions(f"trec6:{questions}", str(model))
    assert train.pixels.shape == (180, 40)
    assert train.pixels[0].tolist() == [3, 5, 8, 9, 1, 10] + 34 * [0]
    assert train.labels[:6].tolist() == list(range(6))
    assert (len(test), int(test.labels[-1])) == (61, CLASSES.index("LOC"))


def test_padding_changes_nothing(model):
    """The mean is over a text's own tokens, whatever stands beside it in the batch."""
    network = load_text_backbone("tiny", str(model)).build(6).eval()
    short, long = [2, 5, 0, 0, 0], [2, 3, 4, 5, 6]
    with torch.no_grad():
        alone, beside = network(torch.tensor([short])), network(torch.tensor([short, long]))
    assert torch.allclose(alone[0], beside[0], atol=1e-6)


def test_the_weights_are_those_of_the_file(model):
    """Encoder as saved, one split per layer, a fresh head; operations are counted in their own split."""
    network = load_text_backbone("tiny", str(model)).build(6)
    saved = transformers.BertModel.from_pretrained(model)
    own = network.encoder.state_dict()
    assert all(
        torch.equal(own[key], value) for key, value in saved.state_dict().items() if key in own
    )
    splits = split_model(network)
    assert splits.names == ("stem", "layer.0", "layer.1", "head")
    stem, one, other, head = count_costs(splits, (40,), torch.int64).forward
    assert (stem, head) == (0, 2 * 8 * 6)
    assert one == other > 0


def test_the_study_runs_is_recorded_and_goes_on(model, questions, tmp_path, capsys):
    """By the command line; given again it has nothing left to do."""
    line = ["study", "text", "--data", f"trec6:{questions}", "--weights", str(model), "--quick"]
    line += ["--only", "base_lr=3e-3", "--jobs", "1", "--no-progress", "--out", str(tmp_path)]
    assert main(line) == 0
    recording = load_recording(tmp_path / "text.json.gz")
    assert recording.about["data"] == "trec6"
    assert {run.tags["decay"] for run in recording.runs} == {1.0, 0.75, 0.5}
    assert all(len(run.displacement) == 4 and run.flops > 0 for run in recording.runs)
    lines = (tmp_path / "text.jsonl").read_text().count('"run"')
    assert main(line) == 0
    assert (tmp_path / "text.jsonl").read_text().count('"run"') == lines == len(recording.runs)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json", "label"])
def test_what_is_missing_or_wrong_is_named(broken, model, questions, tmp_path):
    """One error that names the file, and what to pass."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model.iterdir():
        if path.name != broken:
            (folder / path.name).write_bytes(path.read_bytes())
    data = f"trec6:{questions}"
    if broken == "label":
        (tmp_path / "train_5500.label").write_text("NUM:x how many ?\nnonsense\n")
        data = f"trec6:{tmp_path}"
    of_questions = broken in ("label", "tokenizer.json")
    with pytest.raises(DifflrError, match="Line 2" if broken == "label" else broken):
        load_questions(data, str(folder)) if of_questions else load_text_backbone("t", str(folder))


def test_another_architecture_is_refused(model, tmp_path):
    """Weights that lack a layer, or have it in another size."""
    for key, value in (("num_hidden_layers", 3), ("hidden_size", 16)):
        for path in model.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((model / "config.json").read_text()) | {key: value}
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(DifflrError, match=r"lack|do not fit"):
            load_text_backbone("tiny", str(tmp_path))


def test_questions_belong_to_their_own_study(tmp_path, capsys):
    """Pictures for text, and text for pictures, are refused before anything is read."""
    assert main(["study", "plateau", "--data", "trec6:x", "--weights", "x"]) == 2
    assert main(["study", "text", "--data", "strokes"]) == 2
    assert main(["study", "text", "--data", "trec6:x"]) == 2
    said = capsys.readouterr().err
    assert said.count("trec6:FOLDER") == 2
    assert "as --weights" in said
