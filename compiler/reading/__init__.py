"""From words to values and layers: names, constants, arguments, chains, blocks and sections of a spec."""
