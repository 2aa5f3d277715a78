"""What delivery is made of: see docs/delivery.md."""
