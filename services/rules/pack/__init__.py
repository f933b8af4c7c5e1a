"""What a rule pack is, from its files to the pack that judges. Pure, but for reading files."""
