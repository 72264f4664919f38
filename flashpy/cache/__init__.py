"""Flash's three caches (pathname translation, response heads, files) and the residency test."""
