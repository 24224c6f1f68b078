"""What one text is: wording, similarity, hashing, refusals, control tokens, redaction."""
