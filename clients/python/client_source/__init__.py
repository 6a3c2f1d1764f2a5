"""The generator of the Python client's source, from the tables in `client_names` and the built-in ops."""
