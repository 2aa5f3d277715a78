"""Requests to other people's servers: checked addresses, deadlines, no retries."""
