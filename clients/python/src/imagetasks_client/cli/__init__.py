"""The command line `imagetasks`."""
