"""System checks: a wrong set-up is a numbered message with a hint, not a traceback."""
