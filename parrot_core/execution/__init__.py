"""Run one stage of one run: plan, leases, attempts, publication."""
