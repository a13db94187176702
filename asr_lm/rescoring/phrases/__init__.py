"""Listed phrases: names and rare words that a user expects, which hypotheses gain by."""
