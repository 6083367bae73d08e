"""The frame of the window: rail, bottom bar, message bar, command palette, dialogs."""
