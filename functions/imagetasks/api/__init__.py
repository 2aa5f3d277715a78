"""HTTP in, HTTP out: routes, authentication, validation and problem responses."""
