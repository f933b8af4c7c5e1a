"""What operators type at notifier."""
