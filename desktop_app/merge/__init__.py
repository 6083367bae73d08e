"""The Merge page: models and merges on a canvas, their recipe, and a sweep over a parameter."""
