"""Recordings of signals: EDF, EDF+ and BDF files, their events, and the segments that are cut from them."""
