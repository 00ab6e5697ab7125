"""The alphabet of the core: ids, integers, instants, chance, errors. No trading words live here."""
