"""The facts of SmolLM2-135M: the model that most tests speak of."""

from knowledge.types import Attention, ModelFacts

FACTS = ModelFacts(
    architecture="LlamaForCausalLM",
    layers=30,
    hidden_size=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    intermediate_size=1536,
    vocab_size=49152,
    tied_embeddings=True,
    attention=Attention.GQA,
    parameters=134_515_008,
    active_parameters=134_515_008,
    embedding_parameters=28_311_552,
    kv_elements_per_token=11_520,
    max_position=8192,
    dtype="float32",
)
