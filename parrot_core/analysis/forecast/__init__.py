"""What a recipe will take: requests, tokens, money and time."""
