"""What is known: types, formulas and facts. Pure: no network, process, accelerator or clock."""
