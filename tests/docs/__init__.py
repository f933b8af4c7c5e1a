"""Types what the READMEs and docs/*.md tell to type, and compares what is printed. The marks: blocks.py."""
