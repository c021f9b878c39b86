"""The REST door: events in, recommendations out, and what a visitor may ask of her own data."""
