"""Prediction from files to files, in blocks: whatever the number of rows, memory holds a few thousand of them."""
