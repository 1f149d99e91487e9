"""Runs with one fault each, of known side and known span, made by the real SDK; see ``cases.py``."""
