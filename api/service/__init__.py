"""What stands behind every edge: API, chat, MCP, Slack and dashboard call the Service alone."""

from api.service.service import Service

__all__ = ["Service"]
