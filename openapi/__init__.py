"""What the API promises, and openapi.json made of it. Nothing of this ships."""
