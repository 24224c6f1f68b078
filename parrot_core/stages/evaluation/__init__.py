"""The stages ``evaluate`` and ``compare``: subjects answer a benchmark, a judge scores them."""
