"""Image tasks: an order in, an image of ours out; paid once, lost never."""
