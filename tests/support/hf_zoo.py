"""Hugging Face architectures in small, with random weights, and an input for each."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Made = tuple[nn.Module, dict[str, Any]]

_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_TEXT = {**_SMALL, "vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_IMAGE = {**_SMALL, "image_size": 32, "patch_size": 8}


def _ids(n: int = 6) -> torch.Tensor:
    return torch.arange(3, 3 + n)[None]


def _text(config: str, model: str, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        import transformers as t

        made = getattr(t, config)(**{**_TEXT, **options})
        return getattr(t, model)(made), {"input_ids": _ids()}

    return make


def _image(config: str, model: str, size: int = 32, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        import transformers as t

        made = getattr(t, config)(**options)
        return getattr(t, model)(made), {"pixel_values": torch.zeros(1, 3, size, size)}

    return make


def _sound(config: str, model: str) -> Callable[[], Made]:
    def make() -> Made:
        import transformers as t

        made = getattr(t, config)(
            **_SMALL,
            conv_dim=(16, 16, 16),
            conv_kernel=(8, 3, 3),
            conv_stride=(4, 2, 2),
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
            classifier_proj_size=16,
        )
        return getattr(t, model)(made), {"input_values": torch.zeros(1, 800)}

    return make


def _seq2seq(config: str, model: str, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        import transformers as t

        made = getattr(t, config)(vocab_size=99, pad_token_id=0, **options)
        return getattr(t, model)(made), {"input_ids": _ids(), "decoder_input_ids": _ids(4)}

    return make


def _clip(config: str, model: str) -> Callable[[], Made]:
    def make() -> Made:
        import transformers as t

        made = getattr(t, config)(text_config=dict(_TEXT), vision_config=dict(_IMAGE))
        inputs = {"input_ids": _ids(), "pixel_values": torch.zeros(1, 3, 32, 32)}
        return getattr(t, model)(made), inputs

    return make


def _whisper() -> Made:
    import transformers as t

    made = t.WhisperConfig(
        vocab_size=99, d_model=32, encoder_layers=4, decoder_layers=4, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=20,
        num_mel_bins=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    inputs = {"input_features": torch.zeros(1, 8, 40), "decoder_input_ids": _ids(4)}
    return t.WhisperForConditionalGeneration(made), inputs


_STAGES = {"embed_dim": 16, "depths": [1, 2, 2], "num_heads": [2, 2, 4], "window_size": 4}
_BART = {
    "d_model": 32, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
}  # fmt: skip
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4,
       "decoder_start_token_id": 0}  # fmt: skip
_KV = {"num_key_value_heads": 2, "head_dim": 8}

ZOO: dict[str, Callable[[], Made]] = {
    "BERT": _text("BertConfig", "BertForSequenceClassification"),
    "BERT, masked": _text("BertConfig", "BertForMaskedLM"),
    "RoBERTa": _text("RobertaConfig", "RobertaForSequenceClassification"),
    "XLM-RoBERTa": _text("XLMRobertaConfig", "XLMRobertaForTokenClassification"),
    "DeBERTa": _text("DebertaConfig", "DebertaForSequenceClassification", relative_attention=True,
                     pos_att_type=["c2p", "p2c"]),
    "DeBERTa-v2": _text("DebertaV2Config", "DebertaV2ForSequenceClassification",
                        relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm",
                        share_att_key=True, pos_att_type=["p2c", "c2p"], conv_kernel_size=3),
    "DistilBERT": _text("DistilBertConfig", "DistilBertForSequenceClassification", dim=32,
                        n_layers=4, n_heads=4, hidden_dim=64),
    "ELECTRA": _text("ElectraConfig", "ElectraForSequenceClassification", embedding_size=16),
    "MPNet": _text("MPNetConfig", "MPNetForSequenceClassification"),
    "ModernBERT": _text("ModernBertConfig", "ModernBertForSequenceClassification", cls_token_id=1,
                        sep_token_id=2),
    "ALBERT": _text("AlbertConfig", "AlbertForSequenceClassification", embedding_size=16),
    "GPT-2": _text("GPT2Config", "GPT2LMHeadModel", n_embd=32, n_layer=4, n_head=4),
    "GPT-NeoX": _text("GPTNeoXConfig", "GPTNeoXForCausalLM"),
    "OPT": _text("OPTConfig", "OPTForCausalLM", ffn_dim=64, word_embed_proj_dim=32),
    "Llama": _text("LlamaConfig", "LlamaForCausalLM", **_KV),
    "Llama, classification": _text("LlamaConfig", "LlamaForSequenceClassification", **_KV),
    "Mistral": _text("MistralConfig", "MistralForCausalLM", **_KV),
    "Mixtral": _text("MixtralConfig", "MixtralForCausalLM", num_local_experts=4, **_KV),
    "Qwen2": _text("Qwen2Config", "Qwen2ForCausalLM", **_KV),
    "Qwen3": _text("Qwen3Config", "Qwen3ForCausalLM", **_KV),
    "Gemma": _text("GemmaConfig", "GemmaForCausalLM", **_KV),
    "Phi-3": _text("Phi3Config", "Phi3ForCausalLM", num_key_value_heads=2),
    "T5": _seq2seq("T5Config", "T5ForConditionalGeneration", **_T5),
    "BART": _seq2seq("BartConfig", "BartForConditionalGeneration", **_BART),
    "Whisper": _whisper,
    "ViT": _image("ViTConfig", "ViTForImageClassification", **_IMAGE),
    "DeiT": _image("DeiTConfig", "DeiTForImageClassification", **_IMAGE),
    "BEiT": _image("BeitConfig", "BeitForImageClassification", **_IMAGE),
    "DINOv2": _image("Dinov2Config", "Dinov2ForImageClassification", **_IMAGE),
    "Swin": _image("SwinConfig", "SwinForImageClassification", image_size=32, patch_size=2,
                   **_STAGES),
    "SwinV2": _image("Swinv2Config", "Swinv2ForImageClassification", image_size=32, patch_size=2,
                     **_STAGES),
    "ResNet": _image("ResNetConfig", "ResNetForImageClassification", embedding_size=8,
                     hidden_sizes=[8, 16, 32, 64], depths=[1, 2, 2, 1]),
    "ConvNeXt": _image("ConvNextConfig", "ConvNextForImageClassification", 64,
                       hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 3, 1]),
    "SegFormer": _image("SegformerConfig", "SegformerForSemanticSegmentation", 64,
                        hidden_sizes=[8, 16, 32, 64], depths=[2, 2, 2, 2],
                        num_attention_heads=[1, 2, 4, 8], decoder_hidden_size=16),
    "MobileViT": _image("MobileViTConfig", "MobileViTForImageClassification", 64, image_size=64,
                        hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32]),
    "CLIP": _clip("CLIPConfig", "CLIPModel"),
    "SigLIP": _clip("SiglipConfig", "SiglipModel"),
    "Wav2Vec2": _sound("Wav2Vec2Config", "Wav2Vec2ForSequenceClassification"),
    "HuBERT": _sound("HubertConfig", "HubertForSequenceClassification"),
    "WavLM": _sound("WavLMConfig", "WavLMForSequenceClassification"),
}  # fmt: skip
