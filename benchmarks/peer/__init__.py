"""Other libraries' models, which benchmarks.peers runs in an environment of their own: requirements.txt."""
