"""The channels a message may go through: each a module with one `send` that says how it went."""
