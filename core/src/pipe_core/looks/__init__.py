"""How things look to people: numbers in words, tables, harmless text, pages of their own, and mistakes in a line."""
