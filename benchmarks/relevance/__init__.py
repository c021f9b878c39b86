"""Relevance and merchandising."""
