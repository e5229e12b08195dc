"""Families of publishers, one file each: how they are recognised and what their messages say."""
