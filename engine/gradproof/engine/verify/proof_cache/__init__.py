"""Cache of proofs: the key of a proof, and the verdicts that are kept under it."""

from gradproof.engine.verify.proof_cache.cache import ProofCache
from gradproof.engine.verify.proof_cache.digest import name_of
from gradproof.engine.verify.proof_cache.memory import ProofMemory
from gradproof.engine.verify.proof_cache.op_keys import keys_of, part_keys
from gradproof.engine.verify.proof_cache.proof_key import ProofKey
from gradproof.engine.verify.proof_cache.shape_class import key_of
from gradproof.engine.verify.proof_cache.shipped import ShippedProofs

__all__ = ["ProofCache", "ProofKey", "ProofMemory", "ShippedProofs", "key_of", "keys_of", "name_of", "part_keys"]
