"""Language models: one paper, one network, one folder (see the README.md there).

:func:`asr_lm.lm.loading.load_model` opens a trained model whatever its family.
"""
