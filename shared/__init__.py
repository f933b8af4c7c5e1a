"""What the services share: the words on the wire, and the few mechanisms that keep them from losing any."""
