"""The answer in plain words, at the top."""
