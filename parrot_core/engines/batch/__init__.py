"""The Batch API: requests gathered into rounds, ordered once, followed and fetched."""
