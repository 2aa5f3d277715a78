"""PoYo's API: the only package that knows its paths, JSON keys and prices."""
