"""Words of a verdict, the summary of them, and the advice that ends a reason."""
