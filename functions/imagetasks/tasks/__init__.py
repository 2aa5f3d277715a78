"""The rules of a task, without I/O."""
