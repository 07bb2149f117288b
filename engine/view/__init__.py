"""What is shown: the live terminal view."""
