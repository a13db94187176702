"""Models that others trained: Hugging Face and OpenAI's GPT-1."""
