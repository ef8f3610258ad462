"""The steps of a study: pure functions of values and a workspace.

Each one's result lies in the workspace under the identity of all it was made from. A finished one is returned as it is;
one under way goes on from its last epoch.
"""
