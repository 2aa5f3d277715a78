"""Does the proof bite? One-line breakages of the code, each of which something must catch."""
