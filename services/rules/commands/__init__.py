"""What analysts and operators type."""
