"""What is known about a gradient: the rule proved, the number enclosed, the sum exact."""
