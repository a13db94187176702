"""Recognisers that write a text token by token: encoder-decoder models such as Whisper."""
