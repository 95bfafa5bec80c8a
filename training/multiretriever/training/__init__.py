"""Trains encoders from flows and catalogs, and exports them. Importing this portion loads no framework."""
