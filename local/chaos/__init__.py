"""`make chaos`: the whole system under load, through every fault, with its processes killed."""
