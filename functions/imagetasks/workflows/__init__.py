"""What happens to a task. Each workflow gets its clients as arguments."""
