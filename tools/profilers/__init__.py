"""Profilers: one file each. They turn a running engine into a StepProfile."""
