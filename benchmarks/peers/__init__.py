"""Our networks beside other libraries', which run in an environment of their own: requirements.txt."""
