"""How things look to people: numbers in words, tables, harmless text, pages that load nothing, and mistakes in a line."""
