"""Data that people have: files of any usual kind are recognised and read as a stream of examples, without torch."""
