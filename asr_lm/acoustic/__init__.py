"""From sound to hypotheses: torchaudio recognisers, what they read and how they are searched.

Nothing is imported here: torchaudio takes its time to load.
"""
