"""A task's life played through: the real code against simulated wires, one seed one story."""
