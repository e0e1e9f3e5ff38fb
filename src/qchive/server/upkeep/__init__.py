"""The loops that keep an archive going: one process leads, any number stand by."""
