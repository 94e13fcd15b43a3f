"""Stages of the pipeline: what begins, measures and ends them."""
