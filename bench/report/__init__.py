"""Results for people and for programs: tables on a terminal, a JSON file, an HTML page."""
