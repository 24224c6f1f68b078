"""What differs between runs: settings, rows, distributions, figures, scores."""
