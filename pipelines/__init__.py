"""Commands: ``python -m pipelines.NAME``. They parse arguments and call :mod:`asr_lm`."""
