"""How things look to people: numbers in words, foreign text made harmless, and pages that need nothing beside them."""
