"""Measuring: what the recommendations brought, from impressions and events."""
