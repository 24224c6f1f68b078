"""What an engine may use: rate limits, concurrency, money, the circuit breaker."""
