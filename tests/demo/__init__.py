"""The smallest shop that tests can click through: products by category, some sold out, some sensitive."""
