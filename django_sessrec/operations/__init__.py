"""Operations: whether everything works, what to do where it does not, and the hourly upkeep."""
