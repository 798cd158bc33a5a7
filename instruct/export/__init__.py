"""Annotations in the formats of evaluators and annotation tools: one pure function a format, a feed at a time."""
