"""Speech corpora as they are published, made into manifests and texts: download, unpacking, formats, writing.

Which files a corpus has and what they mean is told by the recipes (``data/``).
"""
