"""What an API server asks before it takes an object of the mesh: whether that can mean anything.

`review` answers one question; `fields` read an object and name what is wrong by its field, `notations` know
what texts mean; `authorizations`, `routes` and `profiles` have the rules of each kind. `app` serves it.
"""
