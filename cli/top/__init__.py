"""Live traffic summed up: `rows` joins and counts events, `page` shows them to a terminal (textual, imported
nowhere else), `plain` to a pipe.
"""
