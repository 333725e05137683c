"""Damaged files, made by fixed seeds: each must be refused in a sentence, or read as it was."""
