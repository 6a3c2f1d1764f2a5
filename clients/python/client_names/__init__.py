"""The names of the Python client, a line each: the tables that its methods and functions are generated from."""
