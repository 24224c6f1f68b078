"""What running code reports about itself: where it is, progress, traces, log lines, counters."""
