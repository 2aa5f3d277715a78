"""A simulated PoYo on 127.0.0.1: its endpoints, its callbacks, its file host, and injected faults."""
