"""Image tasks: an order becomes an image in our own bucket, is paid once and never lost."""
