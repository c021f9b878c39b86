"""Privacy: consent, retention, erasure, explanation and the compliance report."""
