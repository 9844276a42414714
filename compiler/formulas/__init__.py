"""The tables of formulas. Adding an entry to one is all that a new activation, loss, optimizer ... takes."""
