"""The whole system on one machine: an emulated AWS, a simulated PoYo and a gateway."""
