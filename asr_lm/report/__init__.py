"""What a comparison looks like: rows of a table, Markdown, figures, and one HTML page that holds it all."""
