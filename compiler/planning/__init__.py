"""The parts of memory planning: lifetimes, packings, addresses, budgets."""
