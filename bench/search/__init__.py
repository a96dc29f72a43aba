"""Search policies against recorded grids and simulated spaces."""
