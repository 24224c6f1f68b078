"""Unpack a GGUF file into a Hugging Face folder; runs as a process of its own.

``python -m parrot_core.models.gguf SOURCE.gguf FOLDER`` writes bf16 weights and the tokenizer.
"""

import sys
from pathlib import Path


def unpack(source: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file to ``folder`` (weights in bf16)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    name = source.name
    # Without dequantize=True transformers keeps the weights packed and refuses to save them.
    packing = GgufConfig(gguf_file=name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=name, dtype=torch.bfloat16, quantization_config=packing
    )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
