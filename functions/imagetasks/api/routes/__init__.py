"""The API's routes, one file a noun: see who asks, do one thing, answer."""
