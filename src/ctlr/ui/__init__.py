"""The web app: runs of a workspace as they go on, and data to start new ones from.

It holds nothing of a run. It reads what runs write (`ctlr.events`, reports), writes benchmark files, and starts and
stops `ctlr run` as a process of its own session, so that closing a page, or killing the server, changes nothing.

options.py    how the app is served
guard.py      who may ask: hosts, tokens, users, forms; what browsers may do with an answer
access.py     whom Kubernetes lets into a namespace
story.py      what the pages say of a run, whose state `ctlr.runs` folds from its events
processes.py  start, pause, stop, go on, delete
folders.py    folders of pictures: registered or uploaded; unpacking.py, uploading.py: how they come in
examining.py  classes, counts and what is wrong with the pictures; thumbnails
starting.py   the benchmark file of a folder of pictures
drawing.py    curves as inline SVG; pictures.py: stored images as PNGs
models.py     the models of a run that has ended, and what they said; asking.py: what they say of an image, and why
ending.py     the routes of these, of comparisons, of more time and of monitoring
workspaces.py other workspaces that the server shows
searches.py   searches on a cluster as runs; search_pages.py: their routes; links.py: where else a run is shown
server.py     all other routes; templates/ and static/: what browsers see
"""
