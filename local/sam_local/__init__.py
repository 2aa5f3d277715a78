"""`make sam-local`: the real `sam local invoke` on every event, held against the deployed functions."""
