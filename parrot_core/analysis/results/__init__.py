"""What a finished run came to: findings, scores, win rates, samples."""
