"""Flags of engines that can't be asked everywhere: a JSON file each, with version and source."""
