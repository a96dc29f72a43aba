"""The advisor as MCP tools: over streamable HTTP at /mcp, and over stdio by `advisor mcp`."""
