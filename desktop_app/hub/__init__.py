"""Models of the Hugging Face Hub: found, looked at, downloaded; and how the Hub is reached."""
