"""Whether a training computes in bf16 (a module that the launcher can import quickly)."""

import torch


def wants_bf16(precision: str) -> bool:
    """Whether to train in bf16: as asked, or, for ``auto``, where the hardware computes in it."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
