"""The chat behind POST /v1/chat/completions: session commands, consultation, and the wire."""
