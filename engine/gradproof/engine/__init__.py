"""The engine: ops, graphs, rules, plans. Knows neither plugins, gRPC nor proto."""
