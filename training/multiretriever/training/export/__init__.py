"""A checkpoint as the folder of an encoder without torch, and back."""
