"""JSON Web Tokens: signatures, what was found of tokens and is remembered, and which requests they let in.

What a token says is read by the shell: one that nobody has seen yet is rare.
"""
