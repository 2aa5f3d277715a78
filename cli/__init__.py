"""Commands for the operator of a deployed stack."""
