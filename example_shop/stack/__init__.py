"""The programs around the example shop: Postgres, Valkey, web server, workers and beat, in one terminal."""
