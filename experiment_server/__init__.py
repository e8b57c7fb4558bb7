"""Runs a study bundle with participants: the Flask application (to come)."""
