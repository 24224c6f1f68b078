"""User-token and assistant-token SFT, and DPO: each training is a process of its own."""
