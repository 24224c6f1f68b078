"""The web page over a lake: runs, shards, data and quality; reads the lake alone."""
