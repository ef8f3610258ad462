"""Searches: Katib Experiments that run anywhere.

manifest/    a Katib Experiment as a value: read, checked by every rule of Katib's webhook, written
samplers/    the search algorithms, by Katib's names
launchers/   what runs a trial: a program or a function, and the metrics out of what it prints
engine/      a search run here, or followed where another engine runs it: proposed, judged, kept in a journal, ended
service/     the samplers as a suggestion service of a cluster's Katib
katib/       a search on a cluster's Katib; nothing else here knows Kubernetes
options.py   options of a study by name
request.py   what a trial of a benchmark's study needs to know, and what comes of it
push.py      what a trial's program calls to report its metrics

Each folder's names stand at its door. Imports point down, as `.importlinter` says: katib, engine and service,
samplers and launchers, manifest.
"""
