"""A matrix of runs that differ in a few settings, beside the tables of the paper."""
