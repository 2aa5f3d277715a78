"""Scripts of the gate, of the workflows and of the tools: see docs/delivery.md."""
