"""Speed where users stand: programs through tensors beside torch, requests beside an echo of the same bytes, memory."""
