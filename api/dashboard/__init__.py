"""The dashboard: pages rendered on the server, charts as SVG, one small script for live updates."""
