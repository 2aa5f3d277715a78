"""`make sam-local`: compares the responses of `sam local invoke` with those of the deployed functions."""
