"""A simulated PoYo: its endpoints, callbacks and file host on 127.0.0.1, and faults to order."""
