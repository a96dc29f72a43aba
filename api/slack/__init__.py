"""Slack: commands, mentions and direct messages; one message per session, edited as it goes."""
