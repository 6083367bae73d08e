"""A model made ready for somebody else's program: the dialog, the checked result on Runs, and the lesson of int8."""
