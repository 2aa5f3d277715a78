"""`make chaos`: runs the whole system under load, with every fault, and kills its processes."""
