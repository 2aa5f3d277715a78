"""What stands in for the outside world when everything runs on one machine."""
